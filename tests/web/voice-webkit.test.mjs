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

/** From now on the page notes what its voice shows: on a busy machine much of it is over before the next look. */
async function note() {
  await webkit.run(`
    const voice = document.querySelector("#voice");
    const caption = voice.querySelector(".caption");
    const add = () => window.shown.push({ phase: voice.dataset.phase, caption: caption.textContent });
    window.shown = [];
    add();
    new MutationObserver(add).observe(voice, {
      attributes: true, attributeFilter: ["data-phase"], childList: true, characterData: true, subtree: true,
    });`);
  passed = -1;
}

/** Which of the things noted was waited for last. */
let passed;

/** Waits for what is so, of the things the voice shows one after the other; then for what comes after it. */
async function shows(what, isSo) {
  passed = await webkit.until(async () => {
    const shown = await webkit.run("return window.shown");
    const at = shown.findIndex((one, at) => at > passed && isSo(one));
    return at > passed && { at };
  }, what).then(({ at }) => at);
}

const phase = (...names) => shows(names.join(" or "), (one) => names.includes(one.phase));

describe("WebKit", () => {
  test("records MP4 that is understood, and plays the answer", async () => {
    await webkit.go(server.origin);
    await webkit.text("#log .assistant");
    await webkit.text("#talk:not([hidden])");
    await note();
    const types = await webkit.run('return ["audio/webm;codecs=opus", "audio/mp4"].map((type) => MediaRecorder.isTypeSupported(type))');
    assert.deepEqual(types, [false, true], "it is to be tried with the format that WebKit writes");
    const heard = await room.listen();
    await webkit.click("#talk");
    await phase("tapped");
    await room.say("I would like to talk about my garden.");
    const words = await webkit.text("#log .user:not(.waiting) .words");
    assert.ok(inCommon(words, "I would like to talk about my garden.") >= 0.6, words);
    await shows("a caption while it speaks", (one) => one.phase === "aloud" && one.caption !== "");
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
