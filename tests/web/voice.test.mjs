// Talking with the companion: a real browser against the real server, which hears through Whisper and speaks through
// espeak-ng, in a room with a loudspeaker and a microphone.

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { HEARING, SPEAKING, SPEAKING_SLOWLY, inCommon, understood, wakeWhisper } from "./hearing.mjs";
import { Line } from "./line.mjs";
import { Model } from "./model.mjs";
import { Proxy } from "./proxy.mjs";
import { Room, loudest, spoken } from "./room.mjs";
import { Server } from "./server.mjs";

const SOCKET_REFUSED = /WebSocket connection to .* failed/;
const ALLOWED = "--use-fake-ui-for-media-stream";

let room;
let sleep;
let browser;
let server;
let guest;
let model;

before(async () => {
  room = await Room.open();
  sleep = await wakeWhisper();
  browser = await launch([ALLOWED], room);
});
after(async () => {
  await browser?.close();
  await sleep?.();
  await room?.close();
});
afterEach(async () => {
  try {
    await guest?.leave();
  } finally {
    guest = null;
    await server?.remove();
    server = null;
    model?.close();
    model = null;
  }
});

/** Someone comes to a companion that hears, and speaks as these settings say. */
async function arrive(settings = {}, options = {}, as = browser) {
  server = await Server.start({ STT_COMMAND: HEARING, TTS_COMMAND: SPEAKING, ...settings });
  await comes(options, as);
  await guest.open();
}

/** Someone is there, and has not opened the page yet. */
async function comes(options = {}, as = browser) {
  guest = await Guest.arrive(as, server, options);
  // On a busy machine it takes its time to hear, and to say it all.
  guest.page.setDefaultTimeout(40_000);
  await guest.page.addInitScript(notesItsVoice);
}

/** The page notes what its voice shows: on a busy machine much of it is over before the next look. */
function notesItsVoice() {
  const [phases, captions] = [[], []];
  window.shown = { phases, captions };
  addEventListener("DOMContentLoaded", () => {
    const voice = document.querySelector("#voice");
    const caption = voice.querySelector(".caption");
    const note = (all, one) => one && one !== all.at(-1) && all.push(one);
    new MutationObserver(() => note(phases, voice.dataset.phase)).observe(voice, { attributeFilter: ["data-phase"] });
    new MutationObserver(() => note(captions, caption.textContent)).observe(caption, { childList: true });
  });
}

const panel = () => guest.page.locator("#voice");
const talk = () => guest.page.getByRole("button", { name: /^Talk/ });

/** Waits until the voice has come to one of these, if only for a moment, after what was waited for before. */
async function phase(...names) {
  const isSo = (names) => {
    const at = window.shown.phases.findIndex((phase) => names.includes(phase));
    window.shown.phases.splice(0, at + 1);
    return at >= 0;
  };
  await guest.page.waitForFunction(isSo, names).catch(async ({ message }) => {
    assert.fail(`${names} was never shown, only ${await guest.page.evaluate(() => window.shown.phases)}: ${message}`);
  });
}

/** What the captions have been since the page is there. */
const captions = () => guest.page.evaluate(() => window.shown.captions);

/** Waits until a sentence with these words begins to be heard. */
const isSaying = (words) => guest.page.waitForFunction((words) => window.shown.captions.some((caption) => caption.includes(words)), words);

async function until(isSo, what) {
  // The page connects again after up to 250 ms, a second and three more.
  for (let tries = 0; tries < 150; tries += 1) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`waited in vain until ${what}`);
}

/** An answer that has not come to its end by the time that somebody interrupts it, however busy the machine is. */
const SEA = [
  "The sea is wide. ",
  "Its water is blue on bright days and grey or green on others, and on it goes to where the sky begins, wave after wave, as it did long before anybody came to see it, and as it will when nobody looks. ",
  "Many fish live in it. ",
  "Ships go over it from land to land.",
];
/** What may be left of that. */
const CUT = /^The sea is wide\.(?!.*Ships)/;

/** A program that hears once it may: that, and what lets it. */
async function hearsOnceItMay(how = `exec ${HEARING} "$1"`) {
  const may = join(room.dir, "may-hear");
  await rm(may, { force: true });
  const hears = join(room.dir, "hear-late.sh");
  await writeFile(hears, `#!/bin/sh\nwhile [ ! -e ${may} ]; do sleep 0.05; done\n${how}\n`, { mode: 0o755 });
  return [hears, () => writeFile(may, "")];
}

/** Waits until what somebody said has been understood, after so many things before: most of its words are right. */
async function isUnderstood(text, earlier = 0) {
  const words = guest.log.locator(".user .words").nth(earlier);
  await words.filter({ hasText: /\w/ }).waitFor();
  const shown = await words.textContent();
  assert.ok(inCommon(shown, text) >= 0.6, `"${shown}" was understood of "${text}"`);
}

const answers = () => guest.log.locator(".assistant:not(.waiting) .words").allTextContents();

/** What the history holds. */
const kept = () =>
  guest.page.evaluate(async () => {
    const id = localStorage.getItem("companion.session");
    const answer = await fetch(`/api/v1/sessions/${id}`);
    return (await answer.json()).messages.map(({ role, text }) => [role, text]);
  });

/** The page tells how soon the last answer was heard, and how soon those before; the server has counted them. */
async function saysHowSoon(answers) {
  const button = guest.page.getByRole("button", { name: /^First sound after \d+\.\d s$/ });
  await button.click();
  const more = guest.page.locator("#pace-more");
  await more.getByText(answers === 1 ? /^The last answer began within/ : `Of the last ${answers} answers`).waitFor();
  const bars = await more.locator("meter").evaluateAll((all) => all.map(({ value }) => value));
  assert.equal(bars.reduce((sum, value) => sum + value, 0), answers);
  await guest.page.keyboard.press("Escape");
  await more.waitFor({ state: "hidden" });
  const told = await (await fetch(`${server.origin}/metrics`)).text();
  const counted = Object.fromEntries(["count", "sum"].map((what) =>
    [what, Number(new RegExp(`^companion_first_sound_seconds_${what} (.*)$`, "m").exec(told)[1])]));
  assert.equal(counted.count, answers);
  const shown = Number(/[\d.]+/.exec(await button.textContent())[0]);
  if (answers === 1) assert.ok(Math.abs(counted.sum - shown) <= 0.051, `${counted.sum} s are shown as ${shown} s`);
}

describe("holding the button", () => {
  test("what is said is understood, answered, and the answer is heard in the room", async () => {
    await arrive();
    const heard = await room.listen();
    await talk().hover();
    await guest.page.mouse.down();
    await phase("held");
    await room.say("I would like to talk about my garden.");
    await guest.page.mouse.up();
    await isUnderstood("I would like to talk about my garden.");
    await phase("aloud");
    await phase("off");
    const [, answer] = await answers();
    const said = await captions();
    assert.ok(said.length > 0 && said.every((sentence) => answer.includes(sentence)), `${said.join("|")} is not in ${answer}`);
    const sounded = await understood(await heard());
    assert.ok(inCommon(sounded, answer) >= 0.6, `the room heard "${sounded}" for "${answer}"`);
    const [words] = await guest.log.locator(".user .words").allTextContents();
    assert.deepEqual(await kept(), [["user", words], ["assistant", answer]]);
    await saysHowSoon(1);
  });

  test("works with the keyboard, and Escape takes it back", async () => {
    await arrive();
    await talk().focus();
    await guest.page.keyboard.down(" ");
    await phase("held");
    await room.say("Nobody should hear this.");
    await guest.page.keyboard.press("Escape");
    await phase("off");
    await guest.page.keyboard.up(" ");
    assert.equal(await guest.log.locator(".user").count(), 0);
    await guest.page.keyboard.down(" ");
    await phase("held");
    await room.say("I would like to talk about my garden.");
    await guest.page.keyboard.up(" ");
    await isUnderstood("I would like to talk about my garden.");
    await phase("off");
    assert.equal((await kept()).length, 2);
  });

  test("a tap is enough: silence ends what is said", async () => {
    await arrive();
    await talk().click();
    await phase("tapped");
    await room.say("I am looking for my black cat.");
    await isUnderstood("I am looking for my black cat.");
    await phase("off");
    assert.ok(await guest.input.isEditable());
  });
});

describe("hands-free", () => {
  test("one talks, hears the answer, and talks again; the companion never answers itself", async () => {
    await arrive({ TTS_COMMAND: SPEAKING_SLOWLY });
    await guest.press("Hands-free");
    await phase("listening");
    await room.say("My sister is coming to visit me.");
    await isUnderstood("My sister is coming to visit me.");
    await phase("speaking");
    await phase("listening");
    // Echo cancellation may swallow the first words after its own.
    const then = "We want to walk along the river and drink some tea.";
    await room.say(then);
    await isUnderstood(then, 1);
    await phase("speaking");
    await phase("listening");
    assert.equal(await guest.log.locator(".user").count(), 2);
    assert.equal(await guest.log.locator(".cut").count(), 0);
    assert.equal((await kept()).length, 4);
  });

  test("a cough does not interrupt, speaking does, and the history keeps what was heard", async () => {
    model = await Model.start();
    model.pieces = ["You could cook a soup of carrots, onions, and white beans. ", "It is quick, and it keeps warm for a while."];
    await arrive({ TTS_COMMAND: SPEAKING_SLOWLY, ...model.settings });
    await guest.press("Hands-free");
    await phase("listening");
    await room.say("Tell me what I should cook tonight.");
    await phase("speaking");
    await room.cough();
    await phase("listening");
    assert.equal(await guest.log.locator(".cut").count(), 0, "a cough interrupted");
    const [, whole] = await answers();

    model.pieces = SEA;
    await room.say("And what should I drink with it?");
    await phase("speaking");
    model.pieces = ["Yes, of course."];
    const silent = guest.page.locator(".cut").waitFor();
    // Echo cancellation needs half a second to find its way, and swallows words for as long as both speak.
    const instead = "Please stop talking now. I would like to hear about my garden, the river, and the black cat of my sister.";
    await room.sayAfter(0.7, instead);
    await silent;
    await isUnderstood(instead, 2);
    await phase("listening");
    const shown = await answers();
    assert.equal(shown[1], whole);
    const history = (await kept()).filter(([role]) => role === "assistant").map(([, text]) => text);
    assert.deepEqual(shown.slice(1), history);
    await isAccessible(guest.page);
  });

  test("who interrupts with a short word and a pause after it is understood from that word on", async () => {
    model = await Model.start();
    model.holds = new Promise(() => {});
    await arrive(model.settings);
    await guest.press("Hands-free");
    await phase("listening");
    await room.say("Tell me what I should cook tonight.");
    await isUnderstood("Tell me what I should cook tonight.");
    await phase("thinking");
    const rest = "I have changed my mind and would like to hear about my garden.";
    await room.sayAfterAll("Wait.", rest);
    await isUnderstood(`Wait. ${rest}`, 1);
    assert.match(await guest.log.locator(".user .words").nth(1).textContent(), /^wait/i);
    await guest.page.keyboard.press("Escape");
  });

  test("Escape interrupts, and a second one stops listening", async () => {
    model = await Model.start();
    model.pieces = SEA;
    await arrive({ TTS_COMMAND: SPEAKING_SLOWLY, ...model.settings });
    await guest.press("Hands-free");
    await phase("listening");
    await room.say("Tell me something about the sea.");
    await phase("speaking");
    // What is interrupted before it comes out of the loudspeaker has no first sound.
    const pace = guest.page.getByRole("button", { name: /^First sound/ });
    await pace.waitFor();
    await guest.page.keyboard.press("Escape");
    await phase("listening");
    // What has been opened goes first.
    await pace.click();
    await guest.page.keyboard.press("Escape");
    await guest.page.locator("#pace-more").waitFor({ state: "hidden" });
    assert.equal(await panel().getAttribute("data-phase"), "listening");
    await guest.page.keyboard.press("Escape");
    await phase("off");
    assert.equal(await guest.page.getByRole("button", { name: "Hands-free" }).getAttribute("aria-pressed"), "false");
  });

  test("where echo is not cancelled, it is half-duplex: loud as it comes back, the companion does not interrupt itself", async () => {
    model = await Model.start();
    model.pieces = ["Mountains are high and quiet, and from up there one sees far over the land."];
    server = await Server.start({ STT_COMMAND: HEARING, TTS_COMMAND: SPEAKING_SLOWLY, ...model.settings });
    await comes();
    // A device that says it cancels echo and does not.
    await guest.page.addInitScript(() => {
      const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = ({ audio }) =>
        open({ audio: { ...audio, echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      MediaStreamTrack.prototype.getSettings = () => ({ echoCancellation: true });
    });
    await guest.open();
    await guest.press("Hands-free");
    await phase("listening");
    await room.say("Tell me something about the mountains.");
    await phase("deaf");
    await phase("listening");
    assert.equal(await guest.log.locator(".user").count(), 1);
    assert.equal(await guest.log.locator(".cut").count(), 0);
    model.pieces = SEA;
    await room.say("Thank you very much.");
    await isUnderstood("Thank you very much.", 1);
    await phase("speaking", "deaf");
    await guest.page.keyboard.press("Escape");
    await phase("listening");
  });
});

describe("a microphone that cannot be had is named in plain words, and typing goes on:", () => {
  async function isTold(words) {
    await talk().click();
    await guest.page.locator("#notice").filter({ hasText: words }).waitFor();
    await phase("off");
    await isAccessible(guest.page);
    assert.equal(await guest.log.locator(".user").count(), 0);
    await guest.press("Hands-free");
    await guest.page.locator("#notice").filter({ hasText: words }).waitFor();
    assert.equal(await guest.page.getByRole("button", { name: "Hands-free" }).getAttribute("aria-pressed"), "false");
    assert.notEqual(await guest.say("I can still write."), "");
  }

  /** Does something with a browser of its own. */
  async function elsewhere(flags, inRoom, work) {
    const other = await launch(flags, inRoom);
    try {
      await work(other);
      await guest.leave();
    } finally {
      guest = null;
      await other.close();
    }
  }

  test("denied", () =>
    elsewhere(["--deny-permission-prompts"], room, async (other) => {
      await arrive({}, {}, other);
      await isTold(/was not allowed\. Allow it .* in the browser's settings/);
    }));

  test("absent", () =>
    elsewhere([ALLOWED], null, async (other) => {
      await arrive({}, {}, other);
      await isTold(/No microphone was found\. Connect one/);
    }));

  test("withheld, because the page is not on https", () =>
    elsewhere([ALLOWED, "--host-resolver-rules=MAP companion.example 127.0.0.1"], room, async (other) => {
      server = await Server.start({ STT_COMMAND: HEARING, TTS_COMMAND: SPEAKING });
      const { port } = new URL(server.origin);
      server.origin = `http://companion.example:${port}`;
      await comes({}, other);
      await guest.open();
      await isTold(/only to pages opened over https/);
      guest.excuse(/Cross-Origin-Opener-Policy header has been ignored/);
    }));

  test("and where the server cannot hear, nothing is offered that would not work", async () => {
    server = await Server.start();
    await comes();
    await guest.open();
    await guest.page.getByRole("button", { name: "offline", exact: true }).waitFor();
    assert.equal(await talk().isVisible(), false);
    assert.equal(await guest.page.getByRole("button", { name: "Hands-free" }).isVisible(), false);
  });

  test("or cannot hear just now, until it can", async () => {
    const hears = join(room.dir, "not-there-yet.sh");
    server = await Server.start({ STT_COMMAND: hears });
    await comes();
    await guest.page.clock.install();
    await guest.open();
    await guest.page.getByRole("button", { name: "offline", exact: true }).waitFor();
    assert.equal(await talk().isVisible(), false);
    await writeFile(hears, "#!/bin/sh\n", { mode: 0o755 });
    await guest.page.clock.fastForward(5000);
    await talk().waitFor();
    assert.ok(await guest.page.getByRole("button", { name: "Hands-free" }).isVisible());
    await rm(hears);
  });
});

describe("when something fails", () => {
  test("a recording that cannot be understood is kept, and trying again takes it once", async () => {
    const broken = join(room.dir, "broken");
    await writeFile(broken, "");
    const hears = join(room.dir, "hear.sh");
    await writeFile(hears, `#!/bin/sh\n[ -e ${broken} ] && exit 1\nexec ${HEARING} "$1"\n`, { mode: 0o755 });
    await arrive({ STT_COMMAND: hears });
    await talk().click();
    await phase("tapped");
    await room.say("I would like to talk about my garden.");
    await guest.page.getByText("What you said is still here.").waitFor();
    await phase("off");
    await isAccessible(guest.page);
    await rm(broken);
    await guest.press("Try again");
    await isUnderstood("I would like to talk about my garden.");
    await phase("off");
    assert.equal((await kept()).length, 2);
  });

  test("a connection that is lost before the answer is taken up again, and the turn is taken once", async (t) => {
    const [hears, mayHear] = await hearsOnceItMay();
    server = await Server.start({ STT_COMMAND: hears, TTS_COMMAND: SPEAKING });
    const line = await Line.to(server);
    t.after(() => line.close());
    await comes();
    const turns = [];
    guest.page.on("websocket", (socket) =>
      socket.on("framesent", ({ payload }) => {
        const { type, turn_id: id } = typeof payload === "string" ? JSON.parse(payload) : {};
        if (type === "start_listening") turns.push(id);
      }));
    await guest.open();
    await talk().click();
    await phase("tapped");
    await room.say("I would like to talk about my garden.");
    await phase("thinking");
    line.cut();
    await mayHear();
    await isUnderstood("I would like to talk about my garden.");
    await phase("aloud");
    await phase("off");
    assert.equal(turns.length, 2);
    assert.equal(turns[0], turns[1]);
    assert.equal((await kept()).length, 2);
    assert.equal((await answers()).length, 2);
  });

  test("who interrupts when the connection was lost after the answer has kept what they had heard", async (t) => {
    model = await Model.start();
    model.pieces = SEA;
    server = await Server.start({ STT_COMMAND: HEARING, TTS_COMMAND: SPEAKING_SLOWLY, ...model.settings });
    const line = await Line.to(server);
    t.after(() => line.close());
    await comes();
    const [ends, losses] = [[], []];
    guest.page.on("websocket", (socket) => {
      socket.on("framereceived", ({ payload }) => String(payload).includes('"audio_end"') && ends.push(payload));
      socket.on("close", () => losses.push(socket));
    });
    await guest.open();
    await talk().click();
    await phase("tapped");
    await room.say("Tell me something about the sea.");
    await isSaying("Its water");
    await until(() => ends.length === 1, "the answer is all there");
    line.cut();
    await until(() => losses.length > 0, "the connection is known to be lost");
    await guest.page.keyboard.press("Escape");
    await phase("off");
    assert.match((await answers())[1], CUT);
    await until(async () => CUT.test((await kept())[1]?.[1]), "what was heard is kept");
  });

  test("who loads the page anew while the companion speaks finds what they had heard", async () => {
    model = await Model.start();
    model.pieces = SEA;
    await arrive({ TTS_COMMAND: SPEAKING_SLOWLY, ...model.settings });
    await talk().click();
    await phase("tapped");
    await room.say("Tell me something about the sea.");
    await isSaying("Its water");
    await guest.page.reload();
    await guest.log.locator(".assistant").waitFor();
    // The server may hear of it a moment after the page is there again.
    await until(async () => CUT.test((await kept())[1]?.[1]), "what was heard is kept");
  });

  /** Somebody has said something, and loads the page anew while that is thought about; returns what lets the answer come. */
  async function loadsAnew() {
    model = await Model.start();
    let answers;
    model.holds = new Promise((resolve) => (answers = resolve));
    await arrive({ STT_COMMAND: "echo I feel calm today", ...model.settings });
    const remembers = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text: "I feel calm by the river" }) };
    await guest.page.evaluate((remembers) => fetch("/api/v1/memories", remembers), remembers);
    await talk().click();
    await phase("tapped");
    await room.say("I feel calm today.");
    await guest.log.locator(".user .words", { hasText: "I feel calm today" }).waitFor();
    await guest.page.reload();
    await guest.log.locator(".assistant.waiting").waitFor();
    return answers;
  }

  test("who loads the page anew while what they said is thought about finds it there with its answer, once", async () => {
    const answers = await loadsAnew();
    answers();
    await guest.answer(0);
    const said = await guest.words();
    assert.deepEqual([said.length, said], [2, (await kept()).map(([, text]) => text)]);
    await guest.log.getByText("Remembered 1 thing").waitFor();
    await guest.page.waitForFunction(() => !sessionStorage.length);
    await guest.page.reload();
    await guest.answer(0);
    assert.deepEqual(await guest.words(), said);
  });

  test("who loads the page anew while what they said is thought about is told when there is no answer", async () => {
    const answers = await loadsAnew();
    model.fails = true;
    model.listener.closeAllConnections();
    await guest.page.getByText("What you said last was not answered. Please say it again.").waitFor();
    assert.deepEqual(await guest.words(), []);
    assert.equal(await guest.page.evaluate(() => sessionStorage.length), 0);
    answers();
  });

  test("behind a proxy that knows no sockets, what is said goes as a form, and the answer is heard", async () => {
    server = await Server.start({ STT_COMMAND: HEARING, TTS_COMMAND: SPEAKING });
    const proxy = await Proxy.to(server);
    await comes();
    await guest.open();
    const heard = await room.listen();
    await talk().click();
    await phase("tapped");
    await room.say("I would like to talk about my garden.");
    await isUnderstood("I would like to talk about my garden.");
    await phase("aloud");
    await phase("off");
    const [, answer] = await answers();
    const sounded = await understood(await heard());
    assert.ok(inCommon(sounded, answer) >= 0.6, `the room heard "${sounded}" for "${answer}"`);
    assert.equal((await kept()).length, 2);
    guest.excuse(SOCKET_REFUSED);
    await guest.leave();
    guest = null;
    proxy.close();
  });

  test("with all sockets taken, what is said goes as a form; interrupted, its answer is still read, and not heard", async () => {
    const [hears, mayHear] = await hearsOnceItMay("echo 'I can see the sea'");
    await arrive({ STT_COMMAND: hears, MAX_VOICE_SOCKETS: "1" });
    await guest.page.evaluate(() => new Promise((resolve) => {
      const id = localStorage.getItem("companion.session");
      window.taken = new WebSocket(`/api/v1/voice/ws?session_id=${id}`.replace(/^/, location.origin.replace("http", "ws")));
      window.taken.onopen = resolve;
    }));
    await talk().click();
    await phase("tapped");
    const posts = guest.page.waitForRequest(/voice\/process/);
    await room.say("I can see the sea.");
    await posts;
    await panel().getByRole("button", { name: "Stop" }).click();
    await phase("off");
    await mayHear();
    await isUnderstood("I can see the sea.");
    await guest.page.locator("#log:not([aria-busy])").waitFor();
    const [, answer] = await answers();
    assert.deepEqual(await kept(), [["user", "I can see the sea"], ["assistant", answer]]);
    assert.equal(await panel().getAttribute("data-phase"), "off");
    guest.excuse(SOCKET_REFUSED);
  });

  test("a conversation that has expired meanwhile is told as such, and what was said is answered in a new one", async () => {
    await arrive();
    await guest.page.evaluate(() => fetch(`/api/v1/sessions/${localStorage.getItem("companion.session")}`, { method: "DELETE" }));
    await talk().click();
    await phase("tapped");
    await room.say("Hello, good morning.");
    await guest.page.getByText("The old conversation has expired or was deleted. This is a new one.").waitFor();
    await isUnderstood("Hello, good morning.");
    await phase("aloud");
    await phase("off");
    const [words] = await guest.log.locator(".user .words").allTextContents();
    const [, answer] = await answers();
    assert.deepEqual(await kept(), [["user", words], ["assistant", answer]]);
    guest.excuse(/WebSocket connection to .* failed|status of 404/);
  });

  test("a server without speech leaves reading to the browser's own voice, sentence by sentence", async () => {
    server = await Server.start({ STT_COMMAND: HEARING });
    await comes();
    await guest.page.addInitScript(() => {
      // This Chromium has no voices.
      window.read = [];
      const speak = (reading) => {
        window.read.push(reading.text);
        setTimeout(() => reading.onstart?.(), 20);
        setTimeout(() => reading.onend?.(), 1500);
      };
      Object.defineProperty(window, "speechSynthesis", { value: { speak, cancel: () => {} } });
    });
    await guest.open();
    await guest.press("Read answers aloud");
    const typed = guest.say("I would like to talk about my garden.");
    await phase("aloud");
    await phase("off");
    assert.equal((await guest.page.evaluate(() => window.read)).join(" "), await typed);
    assert.equal((await captions()).join(" "), await typed);
    await talk().click();
    await phase("tapped");
    await room.say("Tell me about the river.");
    await phase("aloud");
    await phase("off");
    const [, , answer] = await answers();
    assert.equal((await guest.page.evaluate(() => window.read)).join(" "), `${await typed} ${answer}`);
  });

  test("where the server's speech breaks off, the browser reads only the rest", async () => {
    const once = join(room.dir, "once.sh");
    const mark = join(room.dir, "spoken");
    await writeFile(once, `#!/bin/sh\n[ -e ${mark} ] && exit 1\ntouch ${mark}\nexec ${SPEAKING}\n`, { mode: 0o755 });
    await arrive({ TTS_COMMAND: once });
    await guest.page.evaluate(() => {
      window.read = [];
      const speak = (reading) => {
        window.read.push(reading.text);
        setTimeout(() => reading.onstart(), 20);
        setTimeout(() => reading.onend(), 200);
      };
      Object.defineProperty(window, "speechSynthesis", { value: { speak, cancel: () => {} } });
    });
    await talk().click();
    await phase("tapped");
    await room.say("Hello, good morning.");
    await phase("aloud");
    await phase("off");
    const [, answer] = await answers();
    const read = (await guest.page.evaluate(() => window.read)).join(" ");
    assert.ok(read !== "" && read !== answer && answer.endsWith(read), `"${read}" was read of "${answer}"`);
  });

  test("who interrupts the browser's voice where the server's has failed is not taken for one who heard nothing", async () => {
    await arrive({ TTS_COMMAND: "/bin/false" });
    const interruption = new Promise((resolve) => {
      const look = ({ payload }) => String(payload).includes('"interrupt"') && resolve(JSON.parse(payload));
      guest.page.on("websocket", (socket) => socket.on("framesent", look));
    });
    await guest.page.evaluate(() => {
      const speak = (reading) => setTimeout(() => reading.onstart(), 20);
      Object.defineProperty(window, "speechSynthesis", { value: { speak, cancel: () => {} } });
    });
    await talk().click();
    await phase("tapped");
    await room.say("Hello, good morning.");
    await phase("aloud");
    await guest.page.keyboard.press("Escape");
    assert.deepEqual(await interruption, { type: "interrupt" }, "nobody knows how much of it was heard");
  });

  test("a browser without any voice says so", async () => {
    server = await Server.start();
    await comes();
    await guest.open();
    await guest.press("Read answers aloud");
    await guest.say("I would like to talk about my garden.");
    await guest.page.getByText("This browser has no voice of its own. The answer is on the page.").waitFor();
  });
});

describe("a phone", () => {
  /** What a phone does: sound runs only once a finger has been up again. */
  function soundsLate() {
    let isTouched = false;
    addEventListener("pointerup", () => (isTouched = true), true);
    window.AudioContext = class extends AudioContext {
      constructor(options) {
        super(options);
        if (!isTouched) this.suspend();
      }

      resume() {
        return isTouched ? super.resume() : new Promise(() => {});
      }
    };
  }

  test("hears who holds the button before they have touched anything else, and answers aloud", async () => {
    server = await Server.start({ STT_COMMAND: HEARING, TTS_COMMAND: SPEAKING });
    await comes({ viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true });
    await guest.page.addInitScript(soundsLate);
    await guest.open();
    const fingers = await guest.context.newCDPSession(guest.page);
    const { x, y, width, height } = await talk().boundingBox();
    await fingers.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x: x + width / 2, y: y + height / 2 }] });
    await phase("held");
    await room.say("I would like to talk about my garden.");
    await fingers.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await isUnderstood("I would like to talk about my garden.");
    await phase("aloud");
    await phase("off");
  });

  test("keeps its screen on while one talks hands-free, marks what is said, and shows all of it", async () => {
    model = await Model.start();
    model.pieces = SEA;
    const [hears, mayHear] = await hearsOnceItMay();
    server = await Server.start({ STT_COMMAND: hears, TTS_COMMAND: SPEAKING_SLOWLY, ...model.settings });
    await comes({ viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true });
    await guest.page.addInitScript(() => {
      window.locks = [];
      const request = navigator.wakeLock.request.bind(navigator.wakeLock);
      navigator.wakeLock.request = async (kind) => {
        const lock = await request(kind);
        window.locks.push(lock);
        return lock;
      };
    });
    const locks = () => guest.page.evaluate(() => window.locks.map(({ type, released }) => `${type} ${released}`));
    await guest.open();
    await guest.page.getByRole("button", { name: "Hands-free" }).tap();
    await phase("listening");
    await guest.page.waitForFunction(() => window.locks.length > 0);
    assert.deepEqual(await locks(), ["screen false"]);
    await fits();
    await room.say("I would like to talk about my garden.");
    await phase("thinking");
    await fits();
    await mayHear();
    await phase("speaking");
    await isSaying("The sea is wide");
    // Both at one moment: the next sentence may begin at any time.
    const [marked, said] = await guest.page.evaluate(() =>
      [[...CSS.highlights.get("said")].map(String), document.querySelector("#voice .caption").textContent]);
    assert.deepEqual(marked, [said]);
    await fits();
    await guest.page.waitForFunction(() => {
      const { scrollHeight, scrollTop, clientHeight } = document.querySelector("main");
      return scrollHeight - scrollTop - clientHeight < 2;
    });
    await panel().getByRole("button", { name: "Stop" }).tap();
    await phase("listening");
    await guest.page.getByRole("button", { name: "Hands-free" }).tap();
    await phase("off");
    await guest.page.waitForFunction(() => window.locks.every(({ released }) => released));
    assert.deepEqual(await locks(), ["screen true"]);
  });

  async function fits() {
    const wide = await guest.page.evaluate(() =>
      [...document.querySelectorAll("html, main, footer, #voice")]
        .filter((part) => part.scrollWidth > part.clientWidth)
        .map((part) => part.tagName));
    assert.deepEqual(wide, []);
  }
});

describe("answers to what is typed", () => {
  test("are read aloud if that is wanted, also after a reload, and stop when one types on", async () => {
    await arrive();
    await guest.press("Read answers aloud");
    await guest.page.reload();
    await guest.isAnnounced();
    const heard = await room.listen();
    const answer = await guest.say("I would like to talk about my garden.");
    await phase("aloud");
    await phase("off");
    const sounded = await understood(await heard());
    assert.ok(inCommon(sounded, answer) >= 0.6, `the room heard "${sounded}" for "${answer}"`);
    await guest.say("Tell me more about it.");
    await phase("aloud");
    await guest.say("Never mind.");
    assert.equal((await answers()).length, 3);
    await phase("aloud");
    await phase("off");
  });
});

describe("an answer that lies in one sound", () => {
  /** Whatever the machine does meanwhile: the sound is there whole when it begins, and its time goes on only as the page looks at it. */
  function standsStillAsOne() {
    const { fetch } = window;
    window.fetch = async (...asked) => {
      const answer = await fetch(...asked);
      return answer.url.endsWith("/stream-tts") ? new Response(await answer.arrayBuffer(), answer) : answer;
    };
    window.AudioContext = class extends AudioContext {
      #shown = 0;
      #real = 0;

      get currentTime() {
        const real = super.currentTime;
        this.#shown += Math.min(real - this.#real, 0.1);
        this.#real = real;
        return this.#shown;
      }
    };
  }

  test("is heard, and its caption goes through the sentences as it plays", async () => {
    const sentences = ["The sea is wide.", "Fish live in it.", "Ships cross it."];
    model = await Model.start();
    model.pieces = [sentences.join(" ")];
    server = await Server.start({ TTS_COMMAND: SPEAKING, ...model.settings });
    await comes();
    await guest.page.addInitScript(standsStillAsOne);
    await guest.open();
    await guest.say("Tell me something about the sea.");
    const heard = await room.listen();
    await guest.press("Hear it again");
    await phase("aloud");
    await phase("off");
    assert.deepEqual(await captions(), sentences);
    assert.ok((await loudest(await heard())) > -30, "the room heard nothing");
  });
});

describe("a microphone that the browser plays from a file", () => {
  test("is heard hands-free from the first word to the last", async () => {
    const file = join(room.dir, "fake.wav");
    await room.compose(file, [3, await spoken("Good morning, I would like to talk about my garden.", join(room.dir, "morning.wav")), 60]);
    const flags = ["--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${file}%noloop`];
    const other = await launch([ALLOWED, ...flags], room);
    try {
      await arrive({}, {}, other);
      await guest.press("Hands-free");
      await isUnderstood("Good morning, I would like to talk about my garden.");
      await phase("speaking");
      await phase("listening");
      assert.equal((await kept()).length, 2);
      await guest.leave();
    } finally {
      guest = null;
      await other.close();
    }
  });
});
