// How numbers and times are put into words.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `1536` is `1.5 KiB`. */
export function bytes(value) {
  if (value === null || value === undefined) return "unknown";
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), UNITS.length - 1);
  const scaled = value / 1024 ** power;
  const digits = power === 0 || scaled >= 100 ? 0 : 1;
  return `${scaled.toLocaleString(undefined, { maximumFractionDigits: digits })} ${UNITS[power]}`;
}

export const count = (value) => (value === null || value === undefined ? "unknown" : value.toLocaleString());

/** `1 session`, `2 sessions`; words that are more than an s longer are given. */
export const some = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** How long something is, in the largest unit that says it well. */
export function span(ms) {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return some(minutes, "minute");
  const hours = Math.round(minutes / 60);
  return hours < 48 ? some(hours, "hour") : some(Math.round(hours / 24), "day");
}

/** How long before `now` something was; a moment that is not known was never. */
export const ago = (moment, now) => (moment ? `${span(Math.max(0, Date.parse(now) - Date.parse(moment)))} ago` : "never");

export const time = (date) => date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });

export const day = (date) => date.toLocaleDateString(undefined, { day: "numeric", month: "short" });

export const moment = (date) => `${day(date)}, ${time(date)}`;
