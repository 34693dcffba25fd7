// Deletions that a page cannot have done before it went: the next one says what is still there, and asks what is to become of it.

import * as api from "/static/api.js";
import { button, element } from "/static/conversation.js";
import { deleted, owe, owed, settled } from "/static/interruption.js";
import { oneAtATime } from "/static/one-at-a-time.js";

const PAGE = 100;

let isLeaving = false;
let told;

addEventListener("pagehide", () => (isLeaving = true));
addEventListener("pageshow", () => (isLeaving = false));
// Another page has seen to it.
addEventListener("storage", () => owed().length === 0 && told?.remove());

const isSeen = () => !isLeaving && document.visibilityState === "visible";

/** Waits until somebody sees the page; where nobody does any more, without end. */
async function seen() {
  while (!isSeen()) await new Promise((resolve) => ["visibilitychange", "pageshow"].forEach((event) => addEventListener(event, resolve, { once: true })));
}

/** Deletes what is at this address; already gone is what was wanted. That it failed is heard by who sees the page; until then it is owed. */
export async function remove(path) {
  if (!isSeen()) owe(path);
  try {
    await api.remove(path);
  } catch (failure) {
    if (failure.status !== 404) return failed(path, failure);
  }
  settled(path);
}

async function failed(path, failure) {
  if (!isSeen()) owe(path);
  const wasOwed = owed().includes(path);
  await seen();
  // Another page has seen to it.
  if (wasOwed && !owed().includes(path)) return;
  settled(path);
  throw failure;
}

const parts = (path) => /^\/(sessions|memories)\/([^?]+)/.exec(path).slice(1);

/** What is owed and still there, as `{ path, name }`. What is gone is owed no more. */
export async function leftOver() {
  const [lists, left] = [{}, []];
  for (const path of owed()) {
    const [kind, id] = parts(path);
    lists[kind] ??= await api[kind]({ limit: PAGE });
    const { [kind]: first, next_cursor: others } = lists[kind];
    const found = first.find((each) => each.id === id);
    if (found) left.push({ path, name: found.title || found.text || "a conversation" });
    else if (others) left.push({ path, name: "something older" });
    else settled(path);
  }
  return left;
}

async function removeNow(path) {
  await api.remove(path).catch((failure) => {
    if (failure.status !== 404) throw failure;
  });
  settled(path);
  const [kind, id] = parts(path);
  if (kind === "sessions") deleted(id);
}

/** Says in `notice` what could not be deleted, if there is anything, and lets the person choose. */
export async function ask(notice) {
  const left = await leftOver();
  told?.remove();
  if (left.length === 0) return;
  const names = left.map(({ name }) => `“${name.slice(0, 60)}”`).join(", ");
  told = element("p", "lasting", `Still here, because it could not be deleted: ${names}.`);
  const problem = element("span");
  const remove = oneAtATime(async () => {
    try {
      for (const { path } of left) await removeNow(path);
      told.remove();
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      problem.textContent = ` ${failure.message}`;
    }
  });
  const keep = () => {
    for (const { path } of left) settled(path);
    told.remove();
  };
  told.append(button("Delete now", "", remove), button("Keep", "", keep), problem);
  notice.append(told);
}
