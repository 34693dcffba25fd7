// What the server under test hears and speaks through, and what the tests themselves hear through.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PYTHON = process.env.HEARING_PYTHON ?? here("../../target/venv-hearing/bin/python");
const DIR = mkdtempSync(join(tmpdir(), "companion-hearing-"));
const WHISPER = join(DIR, "whisper");
const ASKING = ["-S", here("hearing/ask.py"), WHISPER];

/** `STT_COMMAND`: Whisper, as long as `wakeWhisper` has it awake. */
export const HEARING = [PYTHON, ...ASKING].join(" ");

/** Loads Whisper, which takes longer than to hear; returns what ends it. */
export async function wakeWhisper() {
  const whisper = spawn(PYTHON, [here("hearing/hear.py"), WHISPER], { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(whisper, "exit");
  await Promise.race([
    once(createInterface({ input: whisper.stdout }), "line"),
    gone.then(([code]) => { throw new Error(`Whisper ended with ${code}`); }),
  ]);
  return async () => {
    whisper.kill();
    await gone;
    await rm(DIR, { recursive: true });
  };
}

/** `TTS_COMMAND`. */
export const SPEAKING = "espeak-ng --stdout";
/** The same, slowly, so that there is time to interrupt. */
export const SPEAKING_SLOWLY = "espeak-ng --stdout -s 90";

/** What is said in a sound file. */
export async function understood(file) {
  const { stdout } = await promisify(execFile)(PYTHON, [...ASKING, file]);
  return stdout.trim();
}

const words = (text) => text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];

/** The share of the words of `text` that were heard. */
export function inCommon(heard, text) {
  const known = new Set(words(heard));
  const all = words(text);
  return all.filter((word) => known.has(word)).length / all.length;
}
