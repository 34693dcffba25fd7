// What is kept over a reload of what was sent and deleted, and how much of it. The storage is the test's own.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { load } from "./pure.mjs";

const { Draft, deleted, owe, owed, settled } = await load("interruption.js");

/** What a browser keeps, by name. */
function storage() {
  const kept = new Map();
  return {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
    removeItem: (name) => kept.delete(name),
  };
}

const keeps = (name) => Object.defineProperty(globalThis, name, { value: storage(), configurable: true });

beforeEach(() => ["localStorage", "sessionStorage"].forEach(keeps));

const ids = (draft) => draft.of("here").map(({ id }) => id);
const numbers = (from, to) => Array.from({ length: to - from }, (_, n) => from + n);

test("of what was sent and has not arrived the last 20 turns are there after a reload", () => {
  const draft = new Draft();
  const sends = (id) => draft.add({ session: "here", id, text: `number ${id}` });
  numbers(0, 20).forEach(sends);
  assert.deepEqual(ids(new Draft()), numbers(0, 20));
  sends(20);
  assert.deepEqual(ids(new Draft()), numbers(1, 21));
  draft.remove({ id: 20 });
  sends(21);
  assert.deepEqual(ids(new Draft()), [...numbers(1, 20), 21], "there was room again");
});

test("of the conversations that were deleted the last 20 are known to a tab that slept", () => {
  const asleep = new Draft();
  for (const id of numbers(0, 20)) asleep.add({ session: `${id}`, id, text: "still to arrive" });
  const left = () => numbers(0, 20).filter((id) => new Draft().of(`${id}`).length > 0);
  numbers(0, 20).forEach((id) => deleted(`${id}`));
  deleted("another one");
  assert.deepEqual(left(), [0]);
  deleted("0");
  assert.deepEqual(left(), []);
});

test("of what could not be deleted the last 20 are asked about", () => {
  numbers(0, 21).forEach((id) => owe(`/memories/${id}`));
  owe("/memories/5");
  assert.deepEqual(owed(), [5, ...numbers(1, 21).reverse().filter((id) => id !== 5)].map((id) => `/memories/${id}`));
  settled("/memories/5");
  assert.equal(owed().length, 19);
});
