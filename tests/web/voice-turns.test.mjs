// Whose turn it is, when people and connections get in each other's way: the page's own talk, with ears and a mouth that do what
// the test says, over a network of the test's own.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { Connection, settles } from "./connection.mjs";
import { load } from "./pure.mjs";

/** A part of the page that the test holds in its hand, as `globalThis[name]`. */
const held = (className, name, body) => `export class ${className} {
  constructor(...given) { globalThis.${name} = this; this.on = given.at(-1); }
  ${body}
}`;

/** A phone's screen: what keeps it on now, and the answers to who asked for that. */
const screen = { locks: [], answers: [] };

class Lock {
  release() {
    screen.locks = screen.locks.filter((lock) => lock !== this);
    this.onRelease();
  }

  addEventListener(name, listener) {
    this.onRelease = listener;
  }
}

function request() {
  return new Promise((resolve) => {
    screen.answers.push(() => {
      const lock = new Lock();
      screen.locks.push(lock);
      resolve(lock);
    });
  });
}

globalThis.document = { visibilityState: "visible", addEventListener() {} };
Object.defineProperty(globalThis, "navigator", { value: { wakeLock: { request } }, configurable: true });

const { Talk } = await load("voice/talk.js", {
  "voice/ears.js": held("Ears", "ears", `
    state = "off"; free = false; deaf = false; speaking = false;
    listen() {} press() { this.speaking = true; } release() {} finish() {}
    discard() { this.speaking = false; }`),
  "voice/mouth.js": held("Mouth", "mouth", `
    sounding = false; says = ""; playedMs = 0; heard = "";
    begin() { this.stop(); this.says = "nothing yet"; }
    text(piece) { if (this.says) this.says = this.says === "nothing yet" ? piece : this.says + piece; }
    sentence() {} sound() {} file() {} stream() {} end() {} duck() {} unduck() {}
    stop() { this.says = ""; this.playedMs = 0; this.heard = ""; }`),
  "voice/pace.js": held("Pace", "pace", "add() {}"),
  "voice/panel.js": held("Panel", "panel", "level() {} caption() {} show(phase) { this.phase = phase; }"),
});

const piece = new Blob(["some sound"]);
const TURN = ["start_listening", 10, "stop_listening"];
const HEARD = { type: "transcription", text: "I feel calm", final: true };
const END = { type: "audio_end", interrupted: false };

let log;
let shown;
let failures;
let awaited;
let isHere;
let told;
let talk;

/** A message that stands in the log until it is removed; `isWaiting` while dots take the place of words. */
function message(who) {
  const made = { who, text: "", isWaiting: true };
  log.push(made);
  const set = (text) => Object.assign(made, { text, isWaiting: false });
  const remove = () => (log = log.filter((each) => each !== made));
  const setOrRemove = (text) => (text === "" ? remove() : set(text));
  return {
    hear: set,
    end: (instead = "") => setOrRemove(made.text || instead),
    again: () => {
      remove();
      log.push(Object.assign(made, { text: "", isWaiting: true }));
    },
    append: (more) => set(made.text + more),
    finish: set,
    cut: setOrRemove,
    point: () => {},
    discard: remove,
  };
}

beforeEach(() => {
  Connection.replace();
  log = [];
  failures = [];
  awaited = [];
  isHere = true;
  shown = { id: "the-session", busy: false };
  const host = {
    conversation: { listen: () => message("person"), reply: () => message("companion") },
    session: () => shown,
    isHere: () => isHere,
    serverSpeaks: () => true,
    busy: (session, is) => (session.busy = is),
    awaits: (session, id) => awaited.push([session.id, id]),
    has: (id) => (awaited = awaited.filter(([, other]) => other !== id)),
    settled: () => {},
    failed: (session, { code }, retry) => failures.push({ code, retry }),
    note: (text) => (told = text),
    changed: () => {},
  };
  talk = new Talk({}, { panel: null, pace: null }, host);
});

/** What is read in the log; "…" stands for dots. */
const read = () => log.map(({ who, text, isWaiting }) => `${who}: ${isWaiting ? "…" : text}`);

const newest = () => Connection.all.at(-1);

/** The connection that is being opened is there. */
async function opened() {
  newest().open();
  await settles();
}

/** Somebody begins to speak, and is being recorded; returns what ends that. */
async function speaks(...how) {
  ears.speaking = true;
  const recording = ears.on.begins(...how);
  if (newest().readyState === 0) await opened();
  await settles();
  recording.piece(piece);
  return async (...why) => {
    ears.speaking = false;
    ears.on.ending(...why);
    recording.end();
    await settles();
  };
}

/** Somebody has said something, and it has arrived. */
const said = async () => (await speaks())();

describe("a spoken turn that failed", () => {
  test("is not sent again by itself when the connection goes later, only when it is asked for", async () => {
    await said();
    newest().says({ type: "error", code: "service_unavailable", message: "Not now." });
    newest().close();
    await settles();
    assert.equal(Connection.all.length, 1);
    assert.deepEqual(read(), ["person: (what you said)"]);
    failures[0].retry();
    await opened();
    assert.deepEqual(newest().types, TURN);
    newest().says(HEARD, { type: "response", text: "Good." }, END);
    assert.deepEqual(read(), ["person: I feel calm", "companion: Good."]);
  });
});

test("what was said to a conversation that has expired is taken into the new one", async () => {
  await said();
  newest().says({ type: "error", code: "session_not_found", message: "It is gone." });
  talk.leave();
  log = [];
  shown = { id: "another-session", busy: false };
  failures[0].retry();
  assert.match(newest().url.search, /another-session/);
  await opened();
  assert.deepEqual(newest().types, TURN);
  assert.equal(shown.busy, true);
  newest().says(HEARD, { type: "response", text: "Good." }, END);
  assert.deepEqual(read(), ["person: I feel calm", "companion: Good."]);
  assert.equal(shown.busy, false);
});

test("nobody begins to talk while the conversation is on its way, and it says so; who talks may end", async () => {
  isHere = false;
  talk.press();
  assert.equal(ears.speaking, false);
  assert.match(told, /^The conversation is on its way\./);
  await talk.listen(true);
  assert.deepEqual(Connection.all, []);
  isHere = true;
  talk.press();
  assert.deepEqual([ears.speaking, told], [true, ""]);
  isHere = false;
  talk.press();
  assert.equal(told, "");
});

describe("whoever is being recorded is not cut off", () => {
  /** What they say is taken whole, and answered. */
  async function areTaken(ends, ...others) {
    await ends();
    assert.deepEqual(newest().types, TURN);
    assert.equal(shown.busy, true);
    newest().says(HEARD, { type: "response", text: "Good." }, END);
    assert.deepEqual(read(), [...others, "person: I feel calm", "companion: Good."]);
    assert.equal(shown.busy, false);
    ears.speaking = false;
    mouth.on.onSilent();
    assert.equal(panel.phase, "off");
  }

  test("by hearing an answer again, which is over at once", async () => {
    const ends = await speaks();
    let isOver = false;
    talk.hearAgain(shown, "What was said before.", async () => null, { point() {} }, () => (isOver = true));
    assert.equal(isOver, true);
    assert.equal(mouth.says, "");
    await areTaken(ends);
  });

  test("by the answer to what was typed before, which is not read to them", async () => {
    const ends = await speaks();
    assert.equal(talk.readAloud(shown, null), null);
    await areTaken(ends);
  });

  test("by trying again what failed before, which can still be done afterwards", async () => {
    await said();
    newest().says({ type: "error", code: "service_unavailable", message: "Not now." });
    newest().sent = [];
    const ends = await speaks();
    failures[0].retry();
    await areTaken(ends, "person: (what you said)");
    newest().sent = [];
    failures[1].retry();
    await settles();
    assert.deepEqual(newest().types, TURN);
  });
});

describe("what is too long for one recording", () => {
  const ANSWER = [{ type: "response_delta", text: "I see." }, { type: "response", text: "I see." }, END];
  const THEN = { type: "transcription", text: "and so on", final: true };

  /** Somebody has spoken for as long as one recording lasts. */
  const saidTooMuch = async () => (await speaks(false))(true);

  test("is told to who holds the button, and answered", async () => {
    await saidTooMuch();
    assert.equal(panel.phase, "full");
    newest().says(HEARD, ...ANSWER);
    assert.deepEqual(read(), ["person: I feel calm", "companion: I see."]);
    assert.equal(mouth.says, "I see.");
  });

  test("is answered before what goes on with it, and not aloud meanwhile", async () => {
    await saidTooMuch();
    const ends = await speaks(true);
    newest().says(HEARD, ...ANSWER);
    assert.equal(mouth.says, "");
    assert.equal(shown.busy, false);
    await ends();
    assert.deepEqual(newest().types, [...TURN, ...TURN]);
    assert.equal(shown.busy, true);
    newest().says(THEN, { type: "response", text: "Go on." });
    assert.deepEqual(read(), ["person: I feel calm", "companion: I see.", "person: and so on", "companion: Go on."]);
    assert.equal(mouth.says, "Go on.");
  });

  test("is answered before what goes on with it also where that ends sooner", async () => {
    await saidTooMuch();
    await (await speaks(true))();
    assert.deepEqual(newest().types, TURN);
    newest().says(HEARD, ...ANSWER);
    await settles();
    assert.deepEqual(newest().types, [...TURN, ...TURN]);
    assert.equal(shown.busy, true);
    newest().says(THEN, { type: "response", text: "Go on." }, END);
    assert.equal(shown.busy, false);
    assert.equal(mouth.says, "Go on.");
    mouth.on.onSilent();
    assert.equal(panel.phase, "off");
  });

  test("stays when what goes on with it is dropped", async () => {
    await saidTooMuch();
    await speaks(true);
    talk.stop();
    newest().says(HEARD, ...ANSWER);
    assert.deepEqual(newest().types, TURN);
    assert.deepEqual(read(), ["person: I feel calm", "companion: I see."]);
    assert.equal(panel.phase, "off");
  });

  test("does not take what goes on with it along when it fails", async () => {
    await saidTooMuch();
    const ends = await speaks(true);
    newest().says({ type: "error", code: "service_unavailable", message: "Not now." });
    assert.equal(failures.length, 1);
    await ends();
    newest().says(THEN, { type: "response", text: "Go on." }, END);
    assert.deepEqual(read(), ["person: (what you said)", "person: and so on", "companion: Go on."]);
  });

  test("is interrupted together with what waits for its answer", async () => {
    await saidTooMuch();
    await (await speaks(true))();
    talk.stop();
    assert.deepEqual(newest().types, [...TURN, "interrupt"]);
    assert.deepEqual(read(), []);
    assert.equal(panel.phase, "off");
  });
});

describe("whoever interrupts when a connection was lost", () => {
  const told = (connection) => connection.sent.filter(({ type }) => type === "interrupt").map(({ played_ms: ms }) => ms);
  const hears = (playedMs, heard) => Object.assign(mouth, { playedMs, heard });

  test("has kept what they had heard, where the answer was all there", async () => {
    await said();
    newest().says(HEARD, { type: "response", text: "One. Two. Three." }, END);
    hears(500, "One.");
    newest().close();
    talk.stop();
    assert.deepEqual(read(), ["person: I feel calm", "companion: One."]);
    await opened();
    assert.deepEqual(newest().types, ["start_listening", "stop_listening", "interrupt"]);
    assert.deepEqual(told(newest()), [500]);
    newest().says({ type: "response", text: "One. Two. Three." }, { ...END, interrupted: true });
    assert.deepEqual(read(), ["person: I feel calm", "companion: One."]);
    assert.equal(mouth.says, "");
  });

  test("has kept the most they had heard, where the answer came anew", async () => {
    await said();
    newest().says(HEARD, { type: "response_delta", text: "One. Two. Three." });
    hears(5000, "One. Two.");
    newest().close();
    await opened();
    newest().says(HEARD, { type: "response_delta", text: "One. Two. Three." });
    hears(100, "");
    talk.stop();
    assert.deepEqual(told(newest()), [5000]);
    assert.deepEqual(read(), ["person: I feel calm", "companion: One. Two."]);
  });

  test("has kept what they had heard, where the end had not come, and goes on talking", async () => {
    await said();
    newest().says(HEARD, { type: "response_delta", text: "One. Two. Three." });
    hears(500, "One.");
    talk.stop();
    newest().close();
    const ends = await speaks(false);
    await ends();
    assert.deepEqual(told(newest()), [500]);
    newest().says({ ...END, interrupted: true });
    await settles();
    assert.deepEqual(newest().types.slice(3), TURN);
  });
});

describe("whoever closes the page", () => {
  const told = () => newest().sent.filter(({ type }) => type === "interrupt").map(({ played_ms: ms }) => ms);

  test("while it speaks has kept what they had heard", async () => {
    await said();
    newest().says(HEARD, { type: "response", text: "One. Two. Three." });
    Object.assign(mouth, { playedMs: 500, heard: "One." });
    talk.away();
    assert.deepEqual(told(), [500]);
  });

  test("before it speaks finds the answer when they come back", async () => {
    await said();
    newest().says(HEARD);
    talk.away();
    assert.deepEqual(told(), []);
    assert.deepEqual(awaited, [["the-session", newest().sent[0].turn_id]], "by its name");
  });

  test("awaits nothing that has an answer, was interrupted, is still being said, or has failed", async () => {
    await said();
    newest().says(HEARD, { type: "response", text: "One." });
    assert.deepEqual(awaited, []);
    newest().says(END);
    await said();
    assert.equal(awaited.length, 1);
    talk.stop();
    assert.deepEqual(awaited, []);
    newest().says({ ...END, interrupted: true });
    const end = await speaks();
    assert.deepEqual(awaited, []);
    await end();
    newest().says({ type: "error", code: "service_unavailable", message: "Not now." });
    assert.deepEqual(awaited, []);
    failures[0].retry();
    assert.equal(awaited.length, 1);
  });
});

describe("a phone's screen", () => {
  const stays = async (on) => {
    for (const answer of screen.answers.splice(0)) answer();
    await settles();
    assert.equal(screen.locks.length, on ? 1 : 0);
  };
  const is = (state) => {
    ears.state = state;
    ears.on.changed();
  };

  beforeEach(async () => {
    is("off");
    await stays(false);
  });

  test("stays on while a turn is recorded, thought about and spoken, and no longer", async () => {
    is("held");
    const ends = await speaks();
    await stays(true);
    ears.state = "off";
    await ends();
    await stays(true);
    newest().says(HEARD, { type: "response", text: "Good." }, END);
    await stays(true);
    mouth.on.onSilent();
    await stays(false);
  });

  test("stays on while an answer is read, and while one talks hands-free", async () => {
    talk.hearAgain(shown, "Well.", async () => null, { point() {} }, () => {});
    await stays(true);
    mouth.on.onSilent();
    await stays(false);
    is("listening");
    await stays(true);
    is("off");
    await stays(false);
  });

  test("goes off, and nothing is told to come, when the answer that was to be read fails", async () => {
    const reading = talk.readAloud(shown, message("companion"));
    assert.equal(panel.phase, "thinking");
    await stays(true);
    reading.fail();
    assert.equal(panel.phase, "off");
    await stays(false);
  });

  test("goes off again for who taps several times before it is kept on", async () => {
    is("listening");
    is("off");
    is("listening");
    await stays(true);
    is("off");
    await stays(false);
  });
});
