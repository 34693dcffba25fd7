// When the page's ears take what is heard for a recording, and when it ends: the real ones, with a microphone that hears what the
// test says.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { load } from "./pure.mjs";

const { FRAME_MS } = await load("voice/activity.js");
const { Ears } = await load("voice/ears.js", {
  "voice/microphone.js": `
    export class NoMicrophone extends Error {}
    export async function open(sound, playing, onLevels) {
      globalThis.hears = (level) => onLevels(level, -Infinity);
      globalThis.isOpen = true;
      return { lateMs: 500, cancelsEcho: true, close: () => { globalThis.isOpen = false; } };
    }`,
  "voice/recorder.js": "export class Recording { send() {} async finish() {} discard() {} }",
});

const ROOM = -60;
const VOICE = -20;

const settles = () => new Promise((resolve) => setImmediate(resolve));

let now = 0;
mock.method(performance, "now", () => now);

let ears;
let told;

beforeEach(() => {
  // Nobody waits for a microphone to be closed at the end.
  mock.timers.enable({ apis: ["setTimeout"] });
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

afterEach(() => mock.timers.reset());

/** So loud it is for so many seconds. */
async function sounds(level, seconds) {
  for (let ms = 0; ms < seconds * 1000; ms += FRAME_MS) {
    now += FRAME_MS;
    hears(level);
    await settles();
  }
}

describe("a button that is held", () => {
  for (const [ms, what, ...then] of [[300, "only a tap"], [1000, "no tap", "ending false", "sent"]]) {
    test(`for ${ms} ms was ${what}, also where nothing can be measured meanwhile`, async () => {
      await ears.press();
      now += ms;
      ears.release();
      await settles();
      assert.deepEqual(told.slice(2), then);
    });
  }

  test("goes on recording when it is pressed in another way as well", async () => {
    await ears.press();
    await sounds(VOICE, 1);
    await ears.press();
    await sounds(VOICE, 1);
    ears.release();
    await settles();
    assert.deepEqual(told, ["pressed", "begins false", "ending false", "sent"]);
  });
});

describe("after a tap", () => {
  beforeEach(async () => {
    await ears.press();
    now += 100;
    ears.release();
  });

  test("nothing said for 8 s is dropped, and the next tap listens anew", async () => {
    await sounds(ROOM, 7.9);
    assert.deepEqual(told, ["pressed", "begins false"]);
    await sounds(ROOM, 0.1);
    assert.deepEqual(told, ["pressed", "begins false", "givesUp"]);
    await ears.press();
    assert.deepEqual(told.slice(3), ["pressed", "begins false"]);
  });

  test("what is begun within 8 s is sent", async () => {
    await sounds(ROOM, 7.8);
    await sounds(VOICE, 1);
    await sounds(ROOM, 1);
    assert.deepEqual(told.slice(2), ["ending false", "sent"]);
  });
});

describe("a microphone that is not in use", () => {
  const speaks = async () => {
    await ears.press();
    now += 1000;
    ears.release();
    await settles();
  };

  test("is closed after 20 s, and opened for the next words", async () => {
    await speaks();
    mock.timers.tick(19_000);
    await speaks();
    mock.timers.tick(19_999);
    assert.ok(isOpen, "the time begins anew with each use");
    mock.timers.tick(1);
    assert.ok(!isOpen);
    await speaks();
    assert.ok(isOpen);
    assert.equal(told.filter((what) => what === "sent").length, 3);
  });
});

describe("what is too long for one recording", () => {
  const LONGEST_S = 120;
  const words = async (seconds) => {
    for (let said = 0; said < seconds; said += 0.6) {
      await sounds(VOICE, 0.4);
      await sounds(ROOM, 0.2);
    }
  };

  beforeEach(() => ears.listen(true));

  test("is sent, and what is said next goes on with it", async () => {
    await words(LONGEST_S + 5);
    await sounds(ROOM, 1);
    assert.deepEqual(told, ["begins false", "ending true", "sent", "begins true", "ending false", "sent"]);
  });

  test("is not interrupted either by who presses the button to go on", async () => {
    await words(LONGEST_S - 1);
    while (!told.includes("sent")) await sounds(VOICE, FRAME_MS / 1000);
    await ears.press();
    assert.deepEqual(told, ["begins false", "ending true", "sent", "begins true"]);
  });

  test("is interrupted by who has been silent since", async () => {
    await words(LONGEST_S - 1);
    while (!told.includes("sent")) await sounds(VOICE, FRAME_MS / 1000);
    await sounds(ROOM, 1);
    await words(1);
    assert.equal(told.at(-1), "begins false");
  });
});
