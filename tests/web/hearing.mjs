// What the server under test hears and speaks through, and what the tests themselves hear through.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PYTHON = process.env.HEARING_PYTHON ?? here("../../target/venv-hearing/bin/python");

/** `STT_COMMAND`: Whisper. */
export const HEARING = `${PYTHON} ${here("hearing/hear.py")}`;
/** `TTS_COMMAND`. */
export const SPEAKING = "espeak-ng --stdout";
/** The same, slowly, so that there is time to interrupt. */
export const SPEAKING_SLOWLY = "espeak-ng --stdout -s 90";

/** What is said in a sound file. */
export async function understood(file) {
  const { stdout } = await promisify(execFile)(PYTHON, [here("hearing/hear.py"), file]);
  return stdout.trim();
}

const words = (text) => text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];

/** The share of the words of `text` that were heard. */
export function inCommon(heard, text) {
  const known = new Set(words(heard));
  const all = words(text);
  return all.filter((word) => known.has(word)).length / all.length;
}
