// Measures what a person waits for: from the end of their words to the first sound of the answer, in a real browser, while
// model, hearing and speech answer at once. No test: nothing fails for a figure.
//
//   COMPANION_BIN=$PWD/target/release/companion node tests/web/first-sound.mjs [turns]
//
// Hands-free, 30 turns unless told otherwise, once with speech that comes as MP3 from a service and once as WAV from a program.
// Told are the page's own measurement, which leaves out the silence by which it knows that somebody has finished, and, to hold
// that against, what is heard in the room: there the silence counts, and so does all that sound takes on its way.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";

import { Guest, launch } from "./guest.mjs";
import { Room, spoken } from "./room.mjs";
import { Server } from "./server.mjs";

const TURNS = Number(process.argv[2] ?? 30);
const SILENCE_MS = 700;
const ANSWER = "That sounds good.";
const WINDOW_MS = 5;
// In decibels of full scale; what is quieter is silence to the page, too.
const AUDIBLE = -62;

const run = promisify(execFile);

/** Providers that answer as soon as they are asked. */
async function stubs(mp3) {
  const answers = {
    "/v1/audio/transcriptions": ["application/json", JSON.stringify({ text: "We want to walk along the river." })],
    "/v1/audio/speech": ["audio/mpeg", mp3],
    "/v1/chat/completions": ["text/event-stream", `${[
      { choices: [{ index: 0, delta: { content: ANSWER }, finish_reason: null }] },
      { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
    ].map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")}data: [DONE]\n\n`],
  };
  const listener = createServer(async (asked, answer) => {
    for await (const piece of asked) void piece;
    const [type, body] = answers[asked.url] ?? ["application/json", '{"data":[]}'];
    answer.writeHead(200, { "Content-Type": type }).end(body);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return { url: `http://127.0.0.1:${listener.address().port}/v1`, close: () => listener.close() };
}

/** Talks so often; returns what the page has measured, and a recording of the room. */
async function talk(room, browser, settings) {
  const server = await Server.start(settings);
  const guest = await Guest.arrive(browser, server);
  const measured = [];
  guest.page.on("websocket", (socket) =>
    socket.on("framesent", ({ payload }) => {
      const said = typeof payload === "string" ? JSON.parse(payload) : {};
      if (said.type === "first_sound") measured.push(said.after_ms);
    }));
  await guest.open();
  const phase = (name) => guest.page.locator(`#voice[data-phase="${name}"]`).waitFor({ state: "attached" });
  await guest.press("Hands-free");
  await phase("listening");
  const heard = await room.listen("room");
  for (let turn = 0; turn < TURNS; turn += 1) {
    await room.say("We want to walk along the river.");
    await phase("speaking");
    await phase("listening");
  }
  const file = await heard();
  await guest.context.close();
  await server.remove();
  return { measured, waits: await waits(file) };
}

/** How long it was quiet in the room before each answer: where somebody speaks, then it is quiet, then somebody speaks. */
async function waits(file) {
  const raw = `${file}.raw`;
  await run("ffmpeg", ["-nostdin", "-loglevel", "error", "-y", "-i", file, "-ac", "1", "-ar", "16000", "-f", "s16le", raw]);
  const bytes = await readFile(raw);
  const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
  const length = (16_000 * WINDOW_MS) / 1000;
  const gaps = [];
  const loudness = (window) => 10 * Math.log10(window.reduce((sum, sample) => sum + (sample / 32768) ** 2, 0) / length + 1e-10);
  let last = null;
  for (let at = 0; at + length <= samples.length; at += length) {
    if (loudness(samples.subarray(at, at + length)) < AUDIBLE) continue;
    // Within words there are no such gaps.
    if (last !== null && at - last > 16 * 400) gaps.push((at - last - length) / 16);
    last = at;
  }
  // Every other one is that between an answer and what is said next.
  return gaps.filter((_, n) => n % 2 === 0);
}

const within = (share, values) => [...values].sort((a, b) => a - b)[Math.ceil((share / 100) * values.length) - 1];

function tell(what, values, less = 0) {
  const [half, most, all] = [50, 95, 100].map((share) => `${Math.round(within(share, values) - less)} ms`);
  console.log(`| ${what} | ${values.length} | ${half} | ${most} | ${all} |`);
}

const room = await Room.open();
const wav = await spoken(ANSWER, join(room.dir, "answer.wav"));
const mp3 = join(room.dir, "answer.mp3");
await run("ffmpeg", ["-nostdin", "-loglevel", "error", "-i", wav, mp3]);
const speaks = join(room.dir, "speak.sh");
await writeFile(speaks, `#!/bin/sh\nexec cat ${wav}\n`, { mode: 0o755 });
const providers = await stubs(await readFile(mp3));
const browser = await launch(["--use-fake-ui-for-media-stream"], room);
const settings = { LLM_BASE_URL: providers.url, STT_BASE_URL: providers.url, RATE_LIMIT_ENABLED: "false" };
try {
  console.log("| end of speech -> first sound | turns | half | 95 of 100 | all |\n|---|---|---|---|---|");
  for (const [name, speech] of [["MP3 of a service", { TTS_BASE_URL: providers.url }], ["WAV of a program", { TTS_COMMAND: speaks }]]) {
    const { measured, waits: heard } = await talk(room, browser, { ...settings, ...speech });
    tell(`${name}: as the page measures it, without ${SILENCE_MS} ms of silence`, measured);
    tell(`${name}: in the room, less ${SILENCE_MS} ms of silence`, heard, SILENCE_MS);
  }
} finally {
  await browser.close();
  await room.close();
  providers.close();
}
