// How spoken turns are taken to the server, when connections come, go, and cannot be had. The network is the test's own.

import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";

import { Connection, settles } from "./connection.mjs";
import { load } from "./pure.mjs";

const { VoiceSocket } = await load("voice/socket.js");
const { join } = await load("voice/joined.js");

const piece = new Blob(["some sound"]);
const END = { type: "audio_end", interrupted: true };

let heard;
let posted;
let socket;

beforeEach(() => {
  Connection.replace();
  heard = [];
  posted = [];
  globalThis.fetch = (url, { body }) => new Promise((resolve, reject) => posted.push({ url, body, resolve, reject }));
  const note = (what) => (...more) => heard.push([what, ...more]);
  const names = ["message", "sound", "again", "posts", "whole", "failed", "settled", "full"];
  socket = new VoiceSocket("the-session", Object.fromEntries(names.map((name) => [name, note(name)])));
});

const answered = (status, body) => ({ ok: status === 200, status, json: async () => body });

/** A turn that is spoken and delivered. */
async function spoken(name, { ends = true } = {}) {
  const recording = socket.start(name);
  if (Connection.all.at(-1)?.readyState !== 1) Connection.all.at(-1).open();
  await settles();
  recording.piece(piece);
  if (ends) recording.end();
  return recording;
}

describe("interrupting", () => {
  test("what still comes of an interrupted answer is not taken for the next one's, until its end has come", async () => {
    await spoken("first");
    const [connection] = Connection.all;
    connection.says({ type: "response_delta", text: "One" });
    socket.interrupt(120);
    await spoken("second");
    connection.says({ type: "response_delta", text: " two" }, new ArrayBuffer(4), END, { type: "transcription", text: "second" });
    assert.deepEqual(heard, [
      ["message", { type: "response_delta", text: "One" }],
      ["settled", "first"],
      ["message", { type: "transcription", text: "second" }],
    ]);
    assert.deepEqual(connection.types, ["start_listening", 10, "stop_listening", "interrupt", "start_listening", 10, "stop_listening"]);
  });

  test("two in a row have two ends", async () => {
    await spoken("first");
    socket.interrupt();
    await spoken("second");
    socket.interrupt();
    await spoken("third");
    const [connection] = Connection.all;
    connection.says(END, { type: "transcription", text: "not the third's" }, END, { type: "transcription", text: "third" });
    assert.deepEqual(heard, [["settled", "first"], ["settled", "second"], ["message", { type: "transcription", text: "third" }]]);
  });

  test("what was not whole, or has been answered, has no end to wait for", async () => {
    await spoken("first", { ends: false });
    socket.interrupt();
    await spoken("second");
    const [connection] = Connection.all;
    connection.says({ type: "audio_end", interrupted: false });
    socket.forget("second");
    socket.interrupt(1500);
    await spoken("third");
    connection.says({ type: "transcription", text: "third" });
    assert.deepEqual(heard.map(([what]) => what), ["message", "message"]);
  });

  test("what was interrupted on a connection that is lost is told over the next one, before the next turn goes over it", async () => {
    await spoken("first");
    socket.interrupt(120);
    await spoken("second");
    Connection.all[0].close();
    assert.deepEqual(heard, [["again"]]);
    Connection.all[1].open();
    await settles();
    const [before, after] = Connection.all;
    const [first, second] = [before.sent[0], before.sent[4]].map(({ turn_id: id }) => id);
    assert.deepEqual(after.sent, [
      { type: "start_listening", turn_id: first },
      { type: "stop_listening" },
      { type: "interrupt", played_ms: 120 },
    ]);
    after.says({ type: "connected" }, { type: "response_delta", text: "One" }, new ArrayBuffer(4), END);
    await settles();
    assert.deepEqual(after.types.slice(3), ["start_listening", 10, "stop_listening"]);
    assert.equal(after.sent[3].turn_id, second);
    after.says({ type: "transcription", text: "second" });
    assert.deepEqual(heard, [["again"], ["settled", "first"], ["message", { type: "transcription", text: "second" }]]);
  });

  const TOLD = ["start_listening", "stop_listening", "interrupt"];

  test("it is told also when nothing more is said, in four tries", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      await spoken("first");
      socket.interrupt();
      Connection.all[0].close();
      for (let tries = 1; tries <= 4; tries += 1) {
        await settles();
        assert.equal(Connection.all.length, 1 + tries);
        Connection.all[tries].open();
        await settles();
        assert.deepEqual(Connection.all[tries].types, TOLD);
        Connection.all[tries].close();
        await settles();
        mock.timers.tick(3000);
      }
      await settles();
      assert.equal(Connection.all.length, 5);
      await spoken("second");
      assert.deepEqual(Connection.all[5].types, TOLD, "what could not be told goes with the next turn");
    } finally {
      mock.timers.reset();
    }
  });

  test("several are told one after the other, also one that is unknown there", async () => {
    await spoken("first");
    socket.interrupt(1);
    await spoken("second");
    socket.interrupt(2);
    Connection.all[0].close();
    await settles();
    const connection = Connection.all[1];
    connection.open();
    await settles();
    assert.deepEqual(connection.types, TOLD);
    connection.says({ type: "error", code: "validation_error", message: "audio: is no sound" });
    await settles();
    assert.deepEqual(connection.types, [...TOLD, ...TOLD]);
    connection.says(END);
    await settles();
    assert.deepEqual(heard, [["settled", "first"], ["settled", "second"]]);
    connection.close();
    await settles();
    assert.equal(Connection.all.length, 2, "there is nothing left to tell");
  });

  test("one whose answer was all there when the connection was lost is told once it is interrupted, over the next one", async () => {
    await spoken("first");
    socket.forget("first");
    Connection.all[0].close();
    await settles();
    assert.equal(Connection.all.length, 1);
    socket.interrupt(500);
    const connection = Connection.all[1];
    connection.open();
    await settles();
    assert.deepEqual(connection.types, TOLD);
    assert.equal(connection.sent[0].turn_id, Connection.all[0].sent[0].turn_id);
    assert.equal(connection.sent[2].played_ms, 500);
    connection.says({ type: "response", text: "All of it." }, END);
    assert.deepEqual(heard, [["settled", "first"]]);
  });

  test("it is told also by who leaves the conversation", async () => {
    await spoken("first");
    Connection.all[0].close();
    socket.interrupt(500);
    socket.close();
    const connection = Connection.all[1];
    connection.open();
    await settles();
    assert.deepEqual(connection.types, TOLD);
    connection.says(END);
    await settles();
    assert.equal(connection.readyState, 3, "the connection is kept for nothing");
  });

  test("one whose recording was not whole is not told", async () => {
    await spoken("first", { ends: false });
    Connection.all[0].close();
    socket.interrupt();
    (await spoken("second", { ends: false })).drop();
    Connection.all[1].close();
    await settles();
    assert.deepEqual(Connection.all.slice(1).map(({ types }) => types), [["start_listening", 10, "interrupt"]]);
  });
});

describe("a turn that is said while another is not answered", () => {
  test("goes once that is over, whole", async () => {
    await spoken("first");
    await spoken("second");
    const [connection] = Connection.all;
    assert.deepEqual(connection.types, ["start_listening", 10, "stop_listening"]);
    socket.forget("first");
    await settles();
    assert.deepEqual(connection.types.slice(3), ["start_listening", 10, "stop_listening"]);
    assert.notEqual(connection.sent[3].turn_id, connection.sent[0].turn_id);
  });

  test("is dropped with it when it is interrupted, and alone when it is not wanted", async () => {
    await spoken("first");
    (await spoken("second")).drop();
    socket.forget("first");
    await spoken("third");
    await spoken("fourth");
    socket.interrupt();
    await settles();
    const once = ["start_listening", 10, "stop_listening"];
    assert.deepEqual(Connection.all[0].types, [...once, ...once, "interrupt"]);
  });
});

describe("without a connection", () => {
  /** A turn for which there is none to be had. */
  async function refused(name) {
    const recording = socket.start(name);
    Connection.all.at(-1).close();
    await settles();
    recording.piece(piece);
    return recording;
  }

  test("the recording goes as a form once it is whole", async () => {
    const recording = await refused("first");
    assert.deepEqual(posted, []);
    recording.end();
    await settles();
    const [{ url, body, resolve }] = posted;
    assert.equal(url, "/api/v1/voice/process");
    assert.equal(body.get("session_id"), "the-session");
    assert.match(body.get("turn_id"), /^[0-9a-f-]{36}$/);
    assert.equal(await body.get("audio").text(), "some sound");
    resolve(answered(200, { text: "well" }));
    await settles();
    assert.deepEqual(heard, [["posts", "first"], ["whole", "first", { text: "well" }]]);
    await spoken("second");
    assert.equal(Connection.all.length, 2, "the next one tries a connection again");
  });

  test("an answer comes also to one that was interrupted meanwhile", async () => {
    (await refused("first")).end();
    await settles();
    socket.interrupt();
    posted[0].resolve(answered(200, { text: "well" }));
    await settles();
    assert.deepEqual(heard, [["posts", "first"], ["whole", "first", { text: "well" }]]);
  });

  test("a refusal is told as what it is", async () => {
    (await refused("first")).end();
    await settles();
    posted[0].resolve(answered(404, { error: "session_not_found", message: "gone" }));
    await settles();
    const [, [what, whose, failure]] = heard;
    assert.deepEqual([what, whose, failure.code, failure.message], ["failed", "first", "session_not_found", "gone"]);
  });

  test("four tries are made, all under one name, and by hand as many again", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const recording = socket.start("first");
      recording.piece(piece);
      recording.end();
      for (let tries = 1; tries <= 8; tries += 1) {
        Connection.all.at(-1).close();
        await settles();
        posted.at(-1).reject(new TypeError("unreachable"));
        await settles();
        assert.equal(posted.length, tries);
        const failed = heard.filter(([what]) => what === "failed").map(([, , { code }]) => code);
        assert.deepEqual(failed, Array.from({ length: Math.floor(tries / 4) }, () => "unreachable"));
        if (tries === 4) recording.retry();
        else mock.timers.tick(3000);
        await settles();
      }
      assert.equal(new Set(posted.map(({ body }) => body.get("turn_id"))).size, 1);
      assert.equal(Connection.all.length, 8);
    } finally {
      mock.timers.reset();
    }
  });

  test("one that does not open in time is given up", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const recording = socket.start("first");
      recording.end();
      await settles();
      mock.timers.tick(4999);
      await settles();
      assert.deepEqual(posted, []);
      mock.timers.tick(1);
      await settles();
      assert.equal(posted.length, 1);
    } finally {
      mock.timers.reset();
    }
  });
});

describe("what was said before the page was loaded anew", () => {
  /** The next connection is there, and says this. */
  async function says(...messages) {
    Connection.all.at(-1).open();
    Connection.all.at(-1).says({ type: "connected" }, ...messages);
    await settles();
  }

  test("is asked for by its name, and there with its answer, whose sound is not waited for", async () => {
    const joined = join("the-session", "the-turn");
    await says({ type: "transcription", text: "I feel calm", final: true }, { type: "response_delta", text: "Good." });
    assert.deepEqual(await joined, { said: "I feel calm", text: "Good." });
    const [{ sent, readyState }] = Connection.all;
    assert.deepEqual(sent, [{ type: "start_listening", turn_id: "the-turn" }, { type: "stop_listening" }]);
    assert.equal(readyState, 3);
  });

  test("has no answer where the server knows nothing of it", async () => {
    const joined = join("the-session", "the-turn");
    await says({ type: "error", code: "validation_error", message: "audio: must not be empty" });
    assert.equal(await joined, null);
  });

  test("is asked for again when the connection is lost, in four tries", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const joined = join("the-session", "the-turn");
      for (let tries = 1; tries <= 4; tries += 1) {
        assert.equal(Connection.all.length, tries);
        Connection.all.at(-1).close();
        await settles();
        mock.timers.tick(3000);
        await settles();
      }
      assert.equal(await joined, null);
    } finally {
      mock.timers.reset();
    }
  });
});

test("a recording is full beyond 8 MiB, and the next one is not", async () => {
  const recording = await spoken("first", { ends: false });
  recording.piece(new Blob([new Uint8Array((8 << 20) - piece.size)]));
  assert.deepEqual(heard, []);
  recording.piece(piece);
  assert.deepEqual(heard, [["full"]]);
  recording.end();
  socket.forget("first");
  await spoken("second");
  assert.deepEqual(heard, [["full"]]);
});
