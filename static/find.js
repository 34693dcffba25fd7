// Finds words in the conversation on the page, its earlier parts too.

import { Failure } from "/static/api.js";
import { OPEN } from "/static/voice.js";

// More are not searched, and the search says so.
const MOST_MESSAGES = 2000;
const PAGE = 100;
const AFTER_TYPING_MS = 150;
const AFTER_WORDS_MS = 150;

let find = null;

/** Opens the search: `form` over the messages in `log`, scrolled by `view`. `loadEarlier(limit)` shows more and tells whether it did. */
export function open(form, host) {
  find ??= new Find(form);
  find.open(host);
}

const isMarkable = typeof Highlight !== "undefined";

function mark(name, ranges) {
  if (!isMarkable) return;
  if (ranges.length > 0) CSS.highlights.set(name, new Highlight(...ranges));
  else CSS.highlights.delete(name);
}

/** The words with each letter and its marks in one, and one after the other: texts come in both. */
const spellings = (words) => new Set([words, words.normalize("NFC"), words.normalize("NFD")]);

/** Every place of the words in a text node. Letters that change their length in lower case are compared as they are. */
function places(node, words) {
  const lower = node.data.toLocaleLowerCase();
  const [text, sought] = lower.length === node.data.length ? [lower, words.toLocaleLowerCase()] : [node.data, words];
  const found = [...spellings(sought)].flatMap((spelled) => placesOf(node, text, spelled));
  return found.sort((one, other) => one.startOffset - other.startOffset);
}

function placesOf(node, text, sought) {
  const found = [];
  for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + sought.length)) {
    const range = new Range();
    range.setStart(node, at);
    range.setEnd(node, at + sought.length);
    found.push(range);
  }
  return found;
}

/** The middle of what is shown, from the top of the window. */
function middle(shown) {
  const { top, height } = shown.getBoundingClientRect();
  return top + height / 2;
}

class Find {
  #form;
  #input;
  #told;
  #host;
  #found = [];
  #at = -1;
  // All of the conversation has been searched.
  #isWhole = false;
  #typing;
  #coming;
  // Wherever one is on the page, unless something else is open or speaks.
  #escape = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || document.querySelector(OPEN)) return;
    event.preventDefault();
    this.#close();
  };
  #watch = new MutationObserver(() => {
    clearTimeout(this.#coming);
    this.#coming = setTimeout(() => this.#lookAgain(), AFTER_WORDS_MS);
  });

  constructor(form) {
    const part = (selector) => form.querySelector(selector);
    this.#form = form;
    this.#input = part("input");
    this.#told = part("p");
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#search(), AFTER_TYPING_MS);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#step(-1);
    });
    form.addEventListener("keydown", (event) => this.#key(event));
    part(".before").addEventListener("click", () => this.#step(-1));
    part(".after").addEventListener("click", () => this.#step(1));
    part(".close").addEventListener("click", () => this.#close());
  }

  open(host) {
    this.#host = host;
    document.addEventListener("keydown", this.#escape);
    this.#watch.observe(host.log, { childList: true, subtree: true, characterData: true });
    this.#form.hidden = false;
    this.#input.focus();
    if (this.#input.value) this.#search();
  }

  #key(event) {
    if (event.key === "Escape") this.#close();
    else if (event.key === "Enter" && event.shiftKey) this.#step(1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #close() {
    clearTimeout(this.#typing);
    clearTimeout(this.#coming);
    document.removeEventListener("keydown", this.#escape);
    this.#watch.disconnect();
    this.#form.hidden = true;
    this.#clear();
    this.#told.textContent = "";
    this.#host.onClose();
  }

  #clear() {
    this.#found = [];
    this.#at = -1;
    mark("found", []);
    mark("found-now", []);
    this.#host.log.querySelector(".found-here")?.classList.remove("found-here");
  }

  get #messages() {
    return [...this.#host.log.querySelectorAll(".words")];
  }

  /** Looks where one is, then further back, and begins with the latest place. */
  async #search() {
    const words = this.#input.value.trim();
    this.#clear();
    this.#isWhole = false;
    this.#look(words);
    while (words && !this.#isWhole && this.#messages.length < MOST_MESSAGES && (await this.#looksFurther())) {
      if (!this.#isStill(words)) return;
      this.#look(words);
    }
    if (this.#isStill(words)) this.#told.textContent = this.#summary();
  }

  #isStill(words) {
    return !this.#form.hidden && this.#input.value.trim() === words;
  }

  /** What cannot be reached now is not searched; the summary says how much was. */
  async #looksFurther() {
    try {
      const isMore = await this.#host.loadEarlier(PAGE);
      this.#isWhole = !isMore;
      return isMore;
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      return false;
    }
  }

  /** Marks all places, and keeps to the one that was shown: it is as far from the end as before. */
  #look(words) {
    const fromEnd = this.#found.length - this.#at;
    this.#mark(words);
    this.#show(this.#found.length - fromEnd);
  }

  /** What was said meanwhile is marked, too. Whoever reads elsewhere is left there. */
  #lookAgain() {
    const words = this.#input.value.trim();
    if (words === "") return;
    const shown = this.#found[this.#at];
    const isShown = ({ startContainer, startOffset }) => startContainer === shown?.startContainer && startOffset === shown.startOffset;
    this.#mark(words);
    const at = this.#found.findIndex(isShown);
    this.#point(at < 0 ? this.#found.length - 1 : at);
  }

  #mark(words) {
    this.#clear();
    if (words !== "") this.#found = this.#messages.flatMap(({ firstChild }) => (firstChild ? places(firstChild, words) : []));
    mark("found", this.#found);
  }

  #step(by) {
    const all = this.#found.length;
    if (all > 0) this.#show((this.#at + by + all) % all);
  }

  /** Brings it into sight, and of a message that is higher than what is in sight the very words. */
  #show(at) {
    const message = this.#point(at);
    if (!message) return;
    message.scrollIntoView({ block: "center" });
    const found = middle(this.#found[at]);
    const { view } = this.#host;
    // Where little height is, the whole page scrolls.
    if (getComputedStyle(view).overflowY === "visible") scrollBy(0, found - innerHeight / 2);
    else view.scrollBy(0, found - middle(view));
  }

  /** Makes this place the one that is told of; returns the words it is in. */
  #point(at) {
    this.#at = at;
    const range = this.#found[at];
    this.#told.textContent = this.#summary();
    mark("found-now", range ? [range] : []);
    if (!range) return null;
    const message = range.startContainer.parentElement;
    this.#host.log.querySelector(".found-here")?.classList.remove("found-here");
    if (!isMarkable) message.classList.add("found-here");
    return message;
  }

  #summary() {
    if (this.#input.value.trim() === "") return "";
    const searched = this.#isWhole ? "" : ` in the last ${this.#messages.length} messages`;
    if (this.#found.length === 0) return searched ? `Not found${searched}` : "Not found";
    return `${this.#at + 1} of ${this.#found.length}${searched}`;
  }
}
