// Loads those modules of the page that need no browser.

import { readFile } from "node:fs/promises";

const STATIC = new URL("../../static/", import.meta.url);
const NAMED = /"\/static\/([^"]+)"/g;

async function address(name, standIns) {
  let source = standIns[name] ?? (await readFile(new URL(name, STATIC), "utf8"));
  for (const [quoted, other] of source.matchAll(NAMED)) {
    source = source.replace(quoted, JSON.stringify(await address(other, standIns)));
  }
  return `data:text/javascript;base64,${Buffer.from(source).toString("base64")}`;
}

/** The module `static/<name>`, and with it those it imports; `standIns` are sources that take the place of some. */
export const load = async (name, standIns = {}) => import(await address(name, standIns));
