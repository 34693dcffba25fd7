// The parts of the voice that need no browser: who speaks, what is echo, where sentences end.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { load } from "./pure.mjs";

const { BrowserVoice } = await load("voice/browser-voice.js");
const { Player } = await load("voice/player.js");
const { Activity, FRAME_MS } = await load("voice/activity.js");
const { Echo } = await load("voice/echo.js");
const { Sentences } = await load("voice/sentences.js");

const ROOM = -62;
const VOICE = -25;

const frames = (level, ms) => Array.from({ length: ms / FRAME_MS }, () => level);

/** What is noticed, each with the millisecond it is noticed at. */
function follow(activity, levels, options) {
  return levels
    .map((level, n) => [activity.hear(level, options), (n + 1) * FRAME_MS])
    .filter(([heard]) => heard !== null);
}

/** Numbers between 0 and 1 that are the same every time. */
function dice(seed) {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

describe("speech is told from silence", () => {
  test("it begins within 100 ms and ends after 700 ms of silence", () => {
    const levels = [...frames(ROOM, 500), ...frames(VOICE, 1000), ...frames(ROOM, 1000)];
    assert.deepEqual(follow(new Activity(), levels), [["maybe", 520], ["speaking", 600], ["ended", 2200]]);
  });

  test("a pause of 600 ms is part of what is said", () => {
    const levels = [...frames(VOICE, 500), ...frames(ROOM, 600), ...frames(VOICE, 500), ...frames(ROOM, 800)];
    assert.deepEqual(follow(new Activity(), levels).map(([heard]) => heard), ["maybe", "speaking", "ended"]);
  });

  test("a click is nothing", () => {
    const levels = [...frames(ROOM, 500), ...frames(VOICE, 60), ...frames(ROOM, 500)];
    assert.deepEqual(follow(new Activity(), levels), [["maybe", 520], ["nothing", 680]]);
  });

  test("the floor follows a fan that is switched on, and speech above it is still heard", () => {
    const activity = new Activity();
    const fan = -38;
    follow(activity, frames(ROOM, 4000));
    const taken = follow(activity, frames(fan, 5000));
    assert.equal(taken.at(-1)[0], "ended", "the fan is taken for speech for good");
    assert.ok(taken.at(-1)[1] <= 4500, `after ${taken.at(-1)[1]} ms`);
    assert.equal(activity.floor, fan);
    assert.deepEqual(follow(activity, frames(fan, 5000)), []);
    const heard = follow(activity, [...frames(fan + 15, 600), ...frames(fan, 800)]);
    assert.deepEqual(heard.map(([what]) => what), ["maybe", "speaking", "ended"]);
  });

  test("speech with its own pauses never becomes the floor", () => {
    const activity = new Activity();
    follow(activity, frames(ROOM, 2000));
    const word = [...frames(VOICE, 240), ...frames(ROOM + 3, 60)];
    assert.deepEqual(
      follow(activity, Array.from({ length: 100 }, () => word).flat()).map(([heard]) => heard),
      ["maybe", "speaking"],
    );
  });
});

describe("what interrupts", () => {
  const options = { sustained: 250 };

  test("250 ms of speech do", () => {
    assert.deepEqual(follow(new Activity(), frames(VOICE, 260), options), [["maybe", 20], ["speaking", 260]]);
  });

  test("a cough of 200 ms does not", () => {
    const levels = [...frames(VOICE, 200), ...frames(ROOM, 500)];
    assert.deepEqual(follow(new Activity(), levels, options).map(([heard]) => heard), ["maybe", "nothing"]);
  });

  test("a cough that rings on in the room does not, as a browser has heard it", () => {
    const rings = [-57, -41, -27, -17, -16, -14, -13, -12, -22, -35, -34, -38, -51, -76];
    const levels = [...frames(-100, 3000), ...rings, ...frames(-95, 500)];
    assert.deepEqual(follow(new Activity(), levels, options).map(([heard]) => heard), ["maybe", "nothing"]);
  });

  test("speech right after a loud knock does", () => {
    const levels = [...frames(ROOM, 500), ...frames(-3, 60), ...frames(-32, 800)];
    const [, [heard, at]] = follow(new Activity(), levels, options);
    assert.equal(heard, "speaking");
    assert.ok(at <= 500 + 60 + 500 + 20, `after ${at} ms`);
  });
});

describe("the page's own voice", () => {
  /** Plays for some seconds; what comes back is `lost` decibels quieter and `late` frames late. Returns what is noticed. */
  function playBack(echo, activity, { seconds, lost, late, person = () => -Infinity, seed = 1 }) {
    const roll = dice(seed);
    const played = [];
    const noticed = [];
    for (let n = 0; n < (seconds * 1000) / FRAME_MS; n += 1) {
      const level = n % 15 < 11 ? -22 + 8 * roll() : -60;
      played.push(level);
      echo.plays(level);
      const back = n >= late ? played[n - late] - lost : ROOM;
      const heard = Math.max(back, ROOM, person(n)) + 2 * roll() - 1;
      const expected = echo.expected;
      if (echo.failed) {
        echo.learn(heard, activity.floor);
        activity.reset();
        continue;
      }
      const what = activity.hear(heard, { sustained: 250, echo: expected });
      if (!activity.hears) echo.learn(heard, activity.floor);
      if (what) noticed.push([what, n * FRAME_MS]);
    }
    return noticed;
  }

  for (const lost of [0, 6, 15, 30, 45]) {
    for (const late of [0, 3, 8, 15]) {
      test(`never interrupts when it comes back ${lost} dB quieter, ${late * FRAME_MS} ms late`, () => {
        for (let seed = 1; seed <= 20; seed += 1) {
          const noticed = playBack(new Echo(), new Activity(), { seconds: 20, lost, late, seed });
          assert.deepEqual(noticed.filter(([what]) => what === "speaking"), [], `seed ${seed}`);
        }
      });
    }
  }

  test("is taken for what cannot be believed when it comes back loud, and believed again when it is cancelled", () => {
    const [echo, activity] = [new Echo(), new Activity()];
    playBack(echo, activity, { seconds: 3, lost: 6, late: 5 });
    assert.equal(echo.failed, true);
    playBack(echo, activity, { seconds: 3, lost: 60, late: 5 });
    assert.equal(echo.failed, false);
  });

  test("is not taken for the person's either while cancellation finds its way, whenever it begins to speak", () => {
    const [echo, activity] = [new Echo(), new Activity()];
    playBack(echo, activity, { seconds: 3, lost: 60, late: 5 });
    for (let n = 0; n < 100; n += 1) echo.plays(-Infinity);
    const noticed = playBack(echo, activity, { seconds: 0.4, lost: 6, late: 5 });
    assert.deepEqual(noticed, []);
    playBack(echo, activity, { seconds: 1, lost: 60, late: 5 });
    assert.equal(echo.failed, false);
  });

  test("does not hide a person where echo is cancelled", () => {
    const [echo, activity] = [new Echo(), new Activity()];
    playBack(echo, activity, { seconds: 3, lost: 60, late: 5 });
    const person = (n) => (n >= 50 && n < 80 ? VOICE : -Infinity);
    const noticed = playBack(echo, activity, { seconds: 2, lost: 60, late: 5, person });
    const [, at] = noticed.find(([what]) => what === "speaking") ?? [];
    assert.ok(at >= 1200 && at <= 1300, `noticed: ${JSON.stringify(noticed)}`);
  });

  test("is not expected where nothing plays", () => {
    const echo = new Echo();
    for (let n = 0; n < 50; n += 1) echo.plays(-Infinity);
    assert.equal(echo.expected, -Infinity);
  });
});

describe("sentences", () => {
  const cut = (...pieces) => {
    const sentences = new Sentences();
    return [...pieces.flatMap((piece) => sentences.add(piece)), ...sentences.end()];
  };

  test("are complete as soon as what follows shows it", () => {
    const sentences = new Sentences();
    assert.deepEqual(sentences.add("Good morning"), []);
    assert.deepEqual(sentences.add("! How"), ["Good morning!"]);
    assert.deepEqual(sentences.add(" are you?\n"), ["How are you?"]);
    assert.deepEqual(sentences.end(), []);
  });

  test("a number that says which one ends none", () => {
    assert.deepEqual(cut("Am 3. Oktober. Vom 1. bis 24. Dezember. Es waren 3. Oder 4. Und?"), [
      "Am 3. Oktober.",
      "Vom 1. bis 24. Dezember.",
      "Es waren 3.",
      "Oder 4.",
      "Und?",
    ]);
    assert.deepEqual(cut("I am 30. And you?"), ["I am 30.", "And you?"]);
    assert.deepEqual(cut("So:\n1. Breathe.\n2. Wait."), ["So:", "1. Breathe.", "2. Wait."]);
  });

  test("do not end in numbers, titles and initials", () => {
    assert.deepEqual(cut("It costs 3.50 at Dr. Grey's, e.g. J. S. Bach. Fine."), [
      "It costs 3.50 at Dr. Grey's, e.g. J. S. Bach.",
      "Fine.",
    ]);
  });

  test("end in other scripts, after quotes, and without a full stop", () => {
    assert.deepEqual(cut("你好。我很好！", " «Oui.» “Yes.” And so on"), ["你好。", "我很好！", "«Oui.»", "“Yes.”", "And so on"]);
    assert.deepEqual(cut("…", " - "), []);
  });
});

/** A player in whose sound 100 bytes last a second; `plays` lets its time pass, up to then. */
function player() {
  const sound = {
    currentTime: 0,
    createGain: () => ({ connect() {}, gain: {} }),
    createBufferSource: () => ({ connect() {}, start() {}, stop() {} }),
    decodeAudioData: async ({ byteLength }) => ({ duration: byteLength / 100 }),
  };
  const told = [];
  const made = new Player(sound, { onSentence: (text) => told.push(text), onSilent: () => told.push("silence") });
  made.begin();
  const plays = async (until) => {
    sound.currentTime = until;
    mock.timers.tick(50);
    await new Promise((resolve) => setImmediate(resolve));
    mock.timers.tick(50);
  };
  return { made, told, plays };
}

describe("an answer that lies in one sound", () => {
  const SAID = ["It is a short one.", "Then a sentence that is longer by far.", "And an end."];
  // As many seconds for each letter.
  const LASTS = SAID.join("").length / 10;

  beforeEach(() => mock.timers.enable({ apis: ["setInterval"] }));
  afterEach(() => mock.timers.reset());

  test("is told sentence by sentence, each at its share of the time", async () => {
    const { made, told, plays } = player();
    made.sentence("", SAID);
    made.add(new Uint8Array(100 * LASTS));
    made.end();
    await plays(0);
    for (const [until, sentences] of [[0.1, 1], [1.7, 1], [1.9, 2], [5.5, 2], [5.7, 3], [6.6, 3]]) {
      await plays(until);
      assert.deepEqual(told, SAID.slice(0, sentences), `${until} s`);
    }
    await plays(LASTS + 0.1);
    assert.deepEqual(told, [...SAID, "silence"]);
  });

  test("is told by no share while nobody knows how much there is to come", async () => {
    const { made, told, plays } = player();
    made.sentence("", SAID);
    made.add(new Uint8Array(200));
    await plays(0);
    await plays(1.9);
    assert.deepEqual(told, SAID.slice(0, 1));
    made.add(new Uint8Array(100 * LASTS - 200));
    made.end();
    await plays(1.95);
    assert.deepEqual(told, SAID.slice(0, 2));
  });
});

describe("an answer of which too much waits to be played", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setInterval"] }));
  afterEach(() => mock.timers.reset());

  test("is heard to its 256th sentence, and on from what comes when there is room again", async () => {
    const { made, told, plays } = player();
    const comes = (text) => {
      made.sentence(text);
      made.add(new Uint8Array(100));
    };
    const numbers = Array.from({ length: 256 }, (_, n) => `${n}`);
    for (const text of [...numbers, "one too many"]) comes(text);
    for (let second = 0; second < 200; second += 1) await plays(second + 0.5);
    comes("the next one");
    made.end();
    for (let second = 200; second < 260; second += 1) await plays(second + 0.5);
    assert.deepEqual(told, [...numbers, "the next one", "silence"]);
  });

  test("is heard as far as 32 MiB go, and on from what comes when there is room again", async () => {
    const { made, told, plays } = player();
    const most = 32 << 20;
    const lasts = most / 100;
    made.sentence("all there is room for");
    made.add(new Uint8Array(most));
    made.sentence("one too many");
    made.add(new Uint8Array(1));
    for (const second of [0, lasts - 1]) await plays(second + 0.5);
    made.sentence("the next one");
    made.add(new Uint8Array(100));
    made.end();
    for (const second of [lasts, lasts + 1, lasts + 2]) await plays(second + 0.5);
    assert.deepEqual(told, ["all there is room for", "the next one", "silence"]);
  });
});

describe("an answer that the browser reads", () => {
  const read = [];
  globalThis.SpeechSynthesisUtterance = class {
    constructor(text) {
      this.text = text;
    }
  };
  globalThis.navigator ??= { language: "en-GB" };
  globalThis.speechSynthesis = { speak: (reading) => read.push(reading), cancel() {} };

  test("is read as far as 256 sentences wait, and on from what comes when there is room again", () => {
    const told = [];
    const voice = new BrowserVoice({ onSentence: (text) => told.push(text), onSilent: () => told.push("silence"), onMute: assert.fail });
    const reads = () => {
      const reading = read.shift();
      reading.onstart();
      reading.onend();
    };
    const numbers = Array.from({ length: 256 }, (_, n) => `This is ${n}, no more.`);
    voice.begin();
    voice.add(`${[...numbers, "One too many."].join(" ")} `);
    for (let times = 0; times < 200; times += 1) reads();
    voice.add("The next one.");
    voice.end();
    while (read.length > 0) reads();
    assert.deepEqual(told, [...numbers, "The next one.", "silence"]);
  });
});
