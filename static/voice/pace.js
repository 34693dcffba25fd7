// Shows how quick the answers are: the last one on a button, the last hundred behind it.

const KEPT = 100;
// Upper ends of the bars, in milliseconds.
const BARS = [200, 300, 500, 750, 1000, 2000, 4000, Infinity];

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** What so many of a hundred stay within. */
const within = (share, sorted) => sorted[Math.ceil((share / 100) * sorted.length) - 1];

function part(tag, text = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function bar(most, count, all) {
  const made = part("li");
  const meter = part("meter");
  meter.max = all;
  meter.value = count;
  const label = most === Infinity ? "longer" : `up to ${most / 1000} s`;
  meter.setAttribute("aria-label", `${label}: ${count}`);
  const told = part("span", String(count));
  told.setAttribute("aria-hidden", "true");
  made.append(part("span", label), meter, told);
  return made;
}

export class Pace {
  #button;
  #more;
  #delays = [];

  /** `root` holds a button and what it opens. */
  constructor(root) {
    this.#button = root.querySelector("button");
    this.#more = root.querySelector("[popover]");
  }

  /** An answer began to be heard so many milliseconds after the end of what was said. */
  add(delay) {
    this.#delays.push(delay);
    if (this.#delays.length > KEPT) this.#delays.shift();
    this.#button.hidden = false;
    this.#button.replaceChildren(part("span", "First sound"), " ", part("span", "after"), ` ${seconds(delay)}`);
    const sorted = [...this.#delays].sort((a, b) => a - b);
    this.#more.querySelector(".sum").textContent = this.#sum(sorted);
    this.#more.querySelector("ul").replaceChildren(...this.#bars(sorted));
  }

  #sum(sorted) {
    if (sorted.length === 1) return `The last answer began within ${seconds(sorted[0])} of the end of your words.`;
    // Of fewer than twenty, 95 of a hundred are all.
    const most = sorted.length < 20 ? "all" : "95 of 100";
    return `Of the last ${sorted.length} answers half began within ${seconds(within(50, sorted))} of the end of your words, ${most} within ${seconds(within(95, sorted))}.`;
  }

  #bars(sorted) {
    const used = BARS.slice(0, BARS.findIndex((most) => sorted.at(-1) <= most) + 1);
    return used.map((most, n) => {
      const above = used[n - 1] ?? -Infinity;
      return bar(most, sorted.filter((delay) => delay > above && delay <= most).length, sorted.length);
    });
  }
}
