// Talking with the companion in WebKit: it records MP4, the answer is heard in the room.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { HEARING, SPEAKING_SLOWLY, inCommon, understood, wakeWhisper } from "./hearing.mjs";
import { Room } from "./room.mjs";
import { Server } from "./server.mjs";
import { WebKit } from "./webkit.mjs";

let room;
let sleep;
let webkit;
let server;

before(async () => {
  room = await Room.open();
  sleep = await wakeWhisper();
  webkit = await WebKit.open(room);
  server = await Server.start({ STT_COMMAND: HEARING, TTS_COMMAND: SPEAKING_SLOWLY });
});
after(async () => {
  await webkit?.close();
  await server?.remove();
  await sleep?.();
  await room?.close();
});

const phase = (...names) => webkit.until(
  async () => names.includes(await webkit.run('return document.querySelector("#voice").dataset.phase')),
  names.join(" or "),
);

describe("WebKit", () => {
  test("records MP4 that is understood, and plays the answer", async () => {
    await webkit.go(server.origin);
    await webkit.text("#log .assistant");
    await webkit.text("#talk:not([hidden])");
    const types = await webkit.run('return ["audio/webm;codecs=opus", "audio/mp4"].map((type) => MediaRecorder.isTypeSupported(type))');
    assert.deepEqual(types, [false, true], "it is to be tried with the format that WebKit writes");
    const heard = await room.listen();
    await webkit.click("#talk");
    await phase("tapped");
    await room.say("I would like to talk about my garden.");
    const words = await webkit.text("#log .user:not(.waiting) .words");
    assert.ok(inCommon(words, "I would like to talk about my garden.") >= 0.6, words);
    await phase("aloud");
    assert.notEqual(await webkit.text("#voice .caption"), "");
    await phase("off");
    const answer = await webkit.text("#log .user ~ .assistant .words");
    const sounded = await understood(await heard());
    assert.ok(inCommon(sounded, answer) >= 0.6, `the room heard "${sounded}" for "${answer}"`);
  });

  test("hands-free, it does not take its own voice for the person's", async () => {
    await webkit.click("#hands-free");
    await phase("listening");
    await room.say("We want to walk along the river.");
    await phase("speaking", "deaf");
    await phase("listening");
    const [said, cut] = await webkit.run('return ["#log .user", "#log .cut"].map((all) => document.querySelectorAll(all).length)');
    assert.deepEqual([said, cut], [2, 0]);
  });
});
