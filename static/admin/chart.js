// One chart as SVG: lines, stacked areas or stacked columns over time. It can be read by keyboard (a slider that nobody sees lies
// over it) and as a table.

import { html, svg } from "/static/admin/page.js";
import { day, moment, time } from "/static/admin/words.js";

const HEIGHT = 150;
const TOP = 8;
const BOTTOM = 22;
// Also in admin.css, where the slider lies over the plot.
const LEFT = 60;
const RIGHT = 6;

/** Round steps in a unit of thousands, or of 1024. */
function steps(most, base) {
  const unit = base ** Math.max(0, Math.floor(Math.log(most) / Math.log(base)));
  const scaled = most / unit;
  const power = 10 ** Math.floor(Math.log10(scaled / 3));
  const step = [1, 2, 5, 10].find((times) => (times * power * 3) >= scaled) * power * unit;
  const whole = Math.max(step, 1);
  return Array.from({ length: Math.ceil(most / whole) + 1 }, (_, number) => number * whole);
}

const sum = (values) => values.reduce((all, value) => all + (value ?? 0), 0);

export class Chart {
  #about;
  #place = null;
  #width = 0;
  #told = null;
  #soon;

  /**
   * `kind`: `lines`, `areas` or `columns`; the last two are stacked. `series`: `{ name, label }`, `name` in the server's words.
   * `unit`: puts a value into words; `base` is 1024 for bytes.
   */
  constructor(about) {
    this.#about = about;
    const { id, title, series } = about;
    this.picture = svg("svg", { role: "img", "aria-labelledby": `${id}-name`, "aria-describedby": `${id}-told` });
    this.slider = html("input", { type: "range", min: "0", value: "0", "aria-label": `${title}: a moment` });
    this.when = html("span", { class: "when" });
    this.values = series.map(() => html("b"));
    const keys = series.map(({ label }, number) => html("li", {}, html("i", { class: `c${number}` }), `${label} `, this.values[number]));
    this.told = html("p", { class: "unseen", id: `${id}-told` });
    this.table = html("details", {}, html("summary", {}, "As a table"));
    this.element = html(
      "figure",
      { id },
      html("figcaption", {}, html("span", { id: `${id}-name` }, title), this.when),
      html("div", { class: "plot" }, this.picture, this.slider),
      html("ul", { class: "key" }, ...keys),
      this.told,
      this.table,
    );
    this.slider.addEventListener("input", () => this.#look(Number(this.slider.value)));
    this.slider.addEventListener("pointermove", (event) => this.#hover(event));
    this.slider.addEventListener("pointerleave", () => this.#look(null));
    this.slider.addEventListener("blur", () => this.#look(null));
    this.table.addEventListener("toggle", () => this.#fillTable());
    new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect.width)).observe(this.picture.parentElement);
  }

  /** Shows trends as the server tells them. */
  show({ from, step_seconds: step, series, span }) {
    const values = this.#about.series.map(({ name }) => series[name]);
    const length = values[0].length;
    const at = Array.from({ length }, (_, place) => new Date(Date.parse(from) + place * step * 1000));
    const places = at.map((_, place) => place).filter((place) => values.some((one) => one[place] !== null));
    this.#told = { values, at, places, span };
    this.slider.max = String(length - 1);
    this.slider.disabled = places.length === 0;
    this.#draw();
    this.#look(this.#place);
    this.#describe();
    this.#fillTable();
  }

  #resize(width) {
    if (width === this.#width) return;
    this.#width = width;
    // Each by itself: all of them at once would keep the page from whoever uses it.
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => this.#draw());
  }

  #x(place) {
    const { at } = this.#told;
    return LEFT + ((place + 0.5) * (this.#width - LEFT - RIGHT)) / at.length;
  }

  /** What stands under and over a value: alone, or on those before it. */
  #stacked() {
    const { values, at } = this.#told;
    const floor = at.map(() => 0);
    return values.map((one) =>
      one.map((value, place) => {
        if (value === null) return null;
        const low = this.#about.kind === "lines" ? 0 : floor[place];
        floor[place] = low + value;
        return [low, low + value];
      }),
    );
  }

  #draw() {
    if (!this.#told || this.#width < LEFT + RIGHT + 40) return;
    const stacked = this.#stacked();
    const most = Math.max(1, ...stacked.flat().map((ends) => ends?.[1] ?? 0));
    const ticks = steps(most, this.#about.base ?? 1000);
    const y = (value) => HEIGHT - BOTTOM - (value / ticks.at(-1)) * (HEIGHT - TOP - BOTTOM);
    const shapes = this.#about.kind === "columns" ? this.#columns(stacked, y) : this.#runs(stacked, y);
    this.mark = svg("line", { class: "mark", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    this.picture.setAttribute("viewBox", `0 0 ${this.#width} ${HEIGHT}`);
    this.picture.replaceChildren(svg("title", {}, this.#about.title), ...this.#grid(ticks, y), ...this.#hours(), ...shapes, this.mark);
    if (this.#told.places.length === 0) {
      this.picture.append(svg("text", { class: "nothing", x: (this.#width + LEFT) / 2, y: HEIGHT / 2 }, "Nothing was noted yet"));
    }
    this.#look(this.#place);
  }

  #grid(ticks, y) {
    return ticks.flatMap((value) => [
      svg("line", { class: "rule", x1: LEFT, x2: this.#width - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { class: "value", x: LEFT - 6, y: y(value) + 4 }, this.#about.unit(value)),
    ]);
  }

  #hours() {
    const { at, span } = this.#told;
    const every = this.#width < 420 ? 6 : 3;
    const isBegun = span === "24h"
      ? (date, before) => date.getHours() % every === 0 && date.getHours() !== before.getHours()
      : (date, before) => date.getDate() !== before.getDate() && date.getDate() % (every + 2) === 0 && date.getDate() < 30;
    const words = span === "24h" ? time : day;
    return at.flatMap((date, place) => {
      const x = this.#x(place);
      if (place === 0 || !isBegun(date, at[place - 1]) || x < LEFT + 16 || x > this.#width - 20) return [];
      return [svg("text", { class: "hour", x, y: HEIGHT - 6 }, words(date))];
    });
  }

  #columns(stacked, y) {
    const { at } = this.#told;
    const wide = Math.max(1, (this.#width - LEFT - RIGHT) / at.length - 0.5);
    return stacked.map((one, number) => {
      const path = one.flatMap((ends, place) => {
        if (ends === null || ends[0] === ends[1]) return [];
        const x = this.#x(place) - wide / 2;
        return `M${x.toFixed(1)} ${y(ends[0]).toFixed(1)}V${y(ends[1]).toFixed(1)}h${wide.toFixed(1)}V${y(ends[0]).toFixed(1)}z`;
      });
      return svg("path", { class: `area c${number}`, d: path.join("") });
    });
  }

  /** Lines, and areas under them; where nothing was noted there is a gap. */
  #runs(stacked, y) {
    const filled = this.#about.kind === "areas";
    return stacked.flatMap((one, number) => {
      const runs = [];
      one.forEach((ends, place) => {
        if (ends === null) return;
        if (place === 0 || one[place - 1] === null) runs.push([]);
        runs.at(-1).push([this.#x(place), y(ends[0]), y(ends[1])]);
      });
      // A moment alone is seen, too.
      const whole = runs.map((run) => (run.length > 1 ? run : [[run[0][0] - 1, ...run[0].slice(1)], [run[0][0] + 1, ...run[0].slice(1)]]));
      const over = (run) => run.map(([x, , high]) => `${x.toFixed(1)} ${high.toFixed(1)}`).join("L");
      const under = (run) => run.toReversed().map(([x, low]) => `${x.toFixed(1)} ${low.toFixed(1)}`).join("L");
      const line = svg("path", { class: `line c${number}`, d: whole.map((run) => `M${over(run)}`).join("") });
      if (!filled) return [line];
      return [svg("path", { class: `area c${number}`, d: whole.map((run) => `M${over(run)}L${under(run)}z`).join("") }), line];
    });
  }

  #hover({ offsetX }) {
    if (!this.#told) return;
    const { at } = this.#told;
    const place = Math.floor((offsetX / this.slider.clientWidth) * at.length);
    this.#look(Math.min(Math.max(place, 0), at.length - 1));
  }

  /** Tells the values of a moment, or of the last one of which there are any. */
  #look(place) {
    if (!this.#told) return;
    const { values, at, places } = this.#told;
    const told = place ?? places.at(-1);
    this.#place = place;
    if (told === undefined) return;
    const words = values.map((one) => this.#word(one[told]));
    values.forEach((one, number) => {
      this.values[number].textContent = place === null && this.#about.kind === "columns" ? this.#word(sum(one)) : words[number];
    });
    this.when.textContent = place === null ? this.#rest(told) : moment(at[told]);
    this.slider.value = String(told);
    const named = this.#about.series.map(({ label }, number) => `${label} ${words[number]}`);
    this.slider.setAttribute("aria-valuetext", `${moment(at[told])}: ${named.join(", ")}`);
    if (!this.mark) return;
    this.mark.setAttribute("visibility", place === null ? "hidden" : "visible");
    this.mark.setAttribute("x1", this.#x(told));
    this.mark.setAttribute("x2", this.#x(told));
  }

  #word(value) {
    return value === null ? "–" : this.#about.unit(value);
  }

  /** When the values of a point were noted: the last one, too, may be old. One of 30 days stands for hours. */
  #noted(place) {
    return `${this.#told.span === "24h" ? "at" : "after"} ${moment(this.#told.at[place])}`;
  }

  /** What the values tell while nobody looks at a moment; `last` is the latest of which there are any. */
  #rest(last) {
    if (this.#about.kind !== "columns") return this.#noted(last);
    return this.#told.span === "24h" ? "in 24 hours" : "in 30 days";
  }

  #describe() {
    const { values, places } = this.#told;
    const { series, unit, kind } = this.#about;
    const of = ({ label }, number) => {
      const known = values[number].filter((value) => value !== null);
      const last = values[number].findLastIndex((value) => value !== null);
      if (known.length === 0) return `${label}: nothing was noted.`;
      if (kind === "columns") return `${label}: ${unit(sum(known))} in all.`;
      return `${label}: ${unit(known.at(-1))} ${this.#noted(last)}, between ${unit(Math.min(...known))} and ${unit(Math.max(...known))}.`;
    };
    this.told.textContent = places.length === 0 ? "Nothing was noted yet." : series.map(of).join(" ");
  }

  #fillTable() {
    if (!this.table.open || !this.#told) return;
    const { values, at, places } = this.#told;
    const { series, title } = this.#about;
    const head = html("tr", {}, html("th", { scope: "col" }, "When"), ...series.map(({ label }) => html("th", { scope: "col" }, label)));
    const rows = places.toReversed().map((place) => {
      const cells = values.map((one) => html("td", {}, this.#word(one[place])));
      return html("tr", {}, html("th", { scope: "row" }, moment(at[place])), ...cells);
    });
    const table = html("table", {}, html("thead", {}, head), html("tbody", {}, ...rows));
    const place = html("div", { class: "table", tabindex: "0", role: "group", "aria-label": `${title}, as a table` }, table);
    const before = this.table.querySelector(".table");
    const scrolled = before?.scrollTop ?? 0;
    if (before) before.replaceWith(place);
    else this.table.append(place);
    place.scrollTop = scrolled;
  }
}
