// When the page's ears take what is heard for a recording, and when it ends: the real ones, with a microphone that hears what the
// test says.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { load } from "./pure.mjs";

const { FRAME_MS } = await load("voice/activity.js");
const { Ears } = await load("voice/ears.js", {
  "voice/microphone.js": `
    export class NoMicrophone extends Error {}
    export async function open(sound, playing, onLevels) {
      globalThis.hears = (level) => onLevels(level, -Infinity);
      return { lateMs: 500, cancelsEcho: true, close() {} };
    }`,
  "voice/recorder.js": "export class Recording { send() {} async finish() {} discard() {} }",
  "voice/awake.js": "export function keepAwake() {}",
});

const ROOM = -60;
const VOICE = -20;

const settles = () => new Promise((resolve) => setImmediate(resolve));

let ears;
let told;

beforeEach(() => {
  told = [];
  const tell = (what) => (...more) => told.push([what, ...more].join(" "));
  const names = ["level", "maybe", "nothing", "pressed", "ending", "givesUp", "trouble", "changed"];
  const on = Object.fromEntries(names.map((name) => [name, ["pressed", "ending", "givesUp"].includes(name) ? tell(name) : () => {}]));
  on.begins = (...how) => {
    tell("begins")(...how);
    return { piece() {}, end: tell("sent") };
  };
  ears = new Ears({}, { sounding: false, busy: false, isUncancelled: false }, on);
});

/** So loud it is for so many seconds. */
async function sounds(level, seconds) {
  for (let ms = 0; ms < seconds * 1000; ms += FRAME_MS) hears(level);
  await settles();
}

describe("a button that is held", () => {
  test("goes on recording when it is pressed in another way as well", async () => {
    await ears.press();
    await sounds(VOICE, 1);
    await ears.press();
    await sounds(VOICE, 1);
    ears.release();
    await settles();
    assert.deepEqual(told, ["pressed", "begins", "ending", "sent"]);
  });
});
