// Deletions that a page cannot have done before it went: the next one says what is still there, and asks what is to become of it.

import * as api from "/static/api.js";
import { button, element } from "/static/conversation.js";
import { deleted, owe, owed, settled } from "/static/interruption.js";
import { oneAtATime } from "/static/one-at-a-time.js";

const PAGE = 100;
// What is not among so many is taken to be still there.
const MOST_PAGES = 20;
const MOST_SHOWN = 60;

let isLeaving = false;
let told;

addEventListener("pagehide", () => (isLeaving = true));
addEventListener("pageshow", () => (isLeaving = false));
// Another page may have seen to it.
addEventListener("storage", tidy);

function tidy() {
  if (owed().length === 0) told?.remove();
}

function settle(path) {
  settled(path);
  tidy();
}

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
  settle(path);
}

async function failed(path, failure) {
  if (!isSeen()) owe(path);
  const wasOwed = owed().includes(path);
  await seen();
  // Another page has asked, and may have deleted it.
  if (wasOwed && !owed().includes(path) && (await stillThere([path])).length === 0) return;
  settle(path);
  throw failure;
}

const parts = (path) => /^\/(sessions|memories)\/([^?]+)/.exec(path).slice(1);

/** Which of these are still there, as `{ path, name }`. */
async function stillThere(paths) {
  const left = [];
  for (const kind of ["sessions", "memories"]) {
    const wanted = new Map(paths.map((path) => [path, ...parts(path)]).filter(([, of]) => of === kind).map(([path, , id]) => [id, path]));
    let cursor;
    for (let page = 0; wanted.size > 0 && page < MOST_PAGES; page += 1) {
      const answer = await api[kind](cursor ? { limit: PAGE, cursor } : { limit: PAGE });
      for (const { id, title, text } of answer[kind].filter((each) => wanted.has(each.id))) {
        left.push({ path: wanted.get(id), name: title || text || "a conversation" });
        wanted.delete(id);
      }
      cursor = answer.next_cursor;
      if (!cursor) wanted.clear();
    }
    for (const path of wanted.values()) left.push({ path, name: "something older" });
  }
  return left;
}

/** What is owed and still there, as `{ path, name }`. What is gone is owed no more. */
export async function leftOver() {
  const paths = owed();
  const left = await stillThere(paths);
  for (const path of paths) if (left.every((each) => each.path !== path)) settle(path);
  return left;
}

async function removeNow(path) {
  await api.remove(path).catch((failure) => {
    if (failure.status !== 404) throw failure;
  });
  settle(path);
  const [kind, id] = parts(path);
  if (kind === "sessions") deleted(id);
}

/** Says in `notice` what could not be deleted, if there is anything, and lets the person choose. */
export async function ask(notice) {
  const left = await leftOver();
  told?.remove();
  if (left.length === 0) return;
  const names = left.map(({ name }) => `“${name.slice(0, MOST_SHOWN)}”`).join(", ");
  told = element("p", "lasting", `Still here, because it could not be deleted: ${names}.`);
  const problem = element("span");
  const removeAll = oneAtATime(async () => {
    try {
      for (const { path } of left) await removeNow(path);
      told.remove();
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      problem.textContent = ` ${failure.message}`;
    }
  });
  const keepAll = () => {
    for (const { path } of left) settle(path);
    told.remove();
  };
  told.append(button("Delete now", "", removeAll), button("Keep", "", keepAll), problem);
  notice.append(told);
}
