// A microphone for browsers that hears nothing, and a voice that goes on for long.

import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const RATE = 16_000;

/** A WAV file, 16 bits and one channel, of so many seconds. */
function wav(seconds, sample) {
  const samples = Math.round(seconds * RATE);
  const file = Buffer.alloc(44 + 2 * samples);
  file.write("RIFF", 0);
  file.writeUInt32LE(36 + 2 * samples, 4);
  file.write("WAVEfmt ", 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(RATE, 24);
  file.writeUInt32LE(2 * RATE, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36);
  file.writeUInt32LE(2 * samples, 40);
  for (let n = 0; n < samples; n += 1) file.writeInt16LE(Math.round(sample(n / RATE) * 32_767), 44 + 2 * n);
  return file;
}

/** A directory with `flags` for a browser that hears silence; to be removed. */
export async function quietMicrophone() {
  const home = await mkdtemp(join(tmpdir(), "companion-silence-"));
  const file = join(home, "silence.wav");
  await writeFile(file, wav(2, () => 0));
  return {
    flags: [
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      `--use-file-for-fake-audio-capture=${file}`,
      "--autoplay-policy=no-user-gesture-required",
    ],
    remove: () => rm(home, { recursive: true }),
  };
}

const home = await mkdtemp(join(tmpdir(), "companion-voice-"));
process.on("exit", () => rmSync(home, { recursive: true, force: true }));

await writeFile(join(home, "hum.wav"), wav(20, (at) => 0.1 * Math.sin(2 * Math.PI * 220 * at)));

/** A program that speaks by humming for 20 seconds. */
export const HUMMING = `cat ${join(home, "hum.wav")}`;
