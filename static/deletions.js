// Deletes conversations after a while in which that can be undone; at once when the page is left or put aside meanwhile: a phone
// does not tell the page that it is closed. Of what cannot be deleted then the next page asks.

import * as api from "/static/api.js";
import { deleted } from "/static/interruption.js";
import { remove } from "/static/owed.js";

export const UNDO_MS = 10_000;

// By id: `{ session, keepMemories, timer, over }`.
const pending = new Map();

/** Deletes now what is to be deleted soon. Tells of each how that ended: nothing, or the failure. */
export const carryOutAll = () => Promise.all([...pending.keys()].map(carryOut));

// Whether it could be deleted is not heard any more.
addEventListener("pagehide", () => {
  for (const id of pending.keys()) deleted(id);
  carryOutAll();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") carryOutAll();
});

/** Whether it is on its way out. */
export const isGoing = (id) => pending.has(id);

/** Deletes it soon. `over` hears how that ended: nothing when it is gone, else the failure. */
export function deleteSoon(session, keepMemories, over) {
  const timer = setTimeout(() => carryOut(session.id), UNDO_MS);
  pending.set(session.id, { keepMemories, timer, over });
}

/** Keeps it after all; false when it was too late. */
export function undo(id) {
  const going = pending.get(id);
  if (!going) return false;
  clearTimeout(going.timer);
  return pending.delete(id);
}

async function carryOut(id) {
  const { keepMemories, timer, over } = pending.get(id);
  clearTimeout(timer);
  pending.delete(id);
  try {
    await remove(api.sessionAt(id, keepMemories));
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    over(failure);
    return failure;
  }
  deleted(id);
  over();
}
