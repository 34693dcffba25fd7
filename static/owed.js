// Deletions somebody asked for, until the server has answered: what a page that goes cannot have done is done by the next one.

import * as api from "/static/api.js";
import { owe, owed, settled } from "/static/interruption.js";

const PAGE = 100;

/** Waits until somebody sees the page; where nobody does any more, without end. */
async function isSeen() {
  while (document.visibilityState !== "visible") {
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

/** Deletes what is at this address; already gone is what was wanted. That it failed is heard by who sees the page, else it is owed. */
export async function remove(path) {
  owe(path);
  try {
    await api.remove(path);
  } catch (failure) {
    if (failure.status !== 404) {
      await isSeen();
      settled(path);
      throw failure;
    }
  }
  settled(path);
}

/** Whether it is known to be gone: whoever deletes that once more is told off in the browser's console. */
async function isGone(path) {
  const [, kind, id] = /^\/(sessions|memories)\/([^?]+)/.exec(path);
  const { [kind]: first, next_cursor: others } = await api[kind]({ limit: PAGE });
  return !others && first.every((each) => each.id !== id);
}

/** Deletes what earlier pages could not. What cannot be deleted now either is owed on, but for what was somebody else's. */
export async function removeOwed() {
  for (const path of owed()) {
    try {
      if (!(await isGone(path))) await api.remove(path);
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      if (failure.signIn || ![401, 404].includes(failure.status)) continue;
    }
    settled(path);
  }
}
