// A room with a loudspeaker and a microphone, made of PulseAudio: the microphone hears whoever speaks in the room, and what
// the loudspeaker plays, as loud as it is told to.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

import { inTime } from "./in-time.mjs";

const run = promisify(execFile);

function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Speaks a text into a WAV file, at so many words a minute. */
export async function spoken(text, file, pace = 150) {
  await run("espeak-ng", ["-v", "en-us", "-s", String(pace), "-w", file, text]);
  return file;
}

/** How loud a sound file is where it is loudest, in decibels of full scale. */
export async function loudest(file) {
  const { stderr } = await run("ffmpeg", ["-nostdin", "-hide_banner", "-i", file, "-af", "volumedetect", "-f", "null", "-"]);
  return Number(/max_volume: (\S+) dB/.exec(stderr)[1]);
}

export class Room {
  /** Opens a room in which what the loudspeaker plays comes back `echo` decibels quieter. */
  static async open({ echo = 6 } = {}) {
    try {
      // Sound has to come in time, whatever else the machine is doing: that goes for everything that is started from here on.
      setPriority(-10);
    } catch (error) {
      // Only root may; others hope for a machine that does nothing else.
      if (error.code !== "ERR_SYSTEM_ERROR") throw error;
    }
    const room = new Room();
    room.dir = await mkdtemp(join(tmpdir(), "companion-room-"));
    const socket = join(room.dir, "socket");
    room.env = { ...process.env, HOME: room.dir, XDG_RUNTIME_DIR: room.dir, PULSE_SERVER: `unix:${socket}` };
    const script = [
      `load-module module-native-protocol-unix auth-anonymous=1 socket=${socket}`,
      "load-module module-null-sink sink_name=loudspeaker rate=48000 channels=1",
      "load-module module-null-sink sink_name=room rate=48000 channels=1",
      "load-module module-loopback source=loudspeaker.monitor sink=room latency_msec=30 source_dont_move=true sink_dont_move=true",
      "load-module module-remap-source master=room.monitor source_name=microphone",
      "set-default-sink loudspeaker",
      "set-default-source microphone",
    ];
    await writeFile(join(room.dir, "room.pa"), `${script.join("\n")}\n`);
    const options = ["-n", "--daemonize=yes", "--exit-idle-time=-1", "--use-pid-file=yes", "--log-target=null"];
    // It returns once everything is there.
    const pulse = await inTime("pulseaudio", [...options, `--file=${join(room.dir, "room.pa")}`]);
    await run(...pulse, { env: room.env });
    await room.setEcho(echo);
    return room;
  }

  /** From now on the microphone hears the loudspeaker so many decibels quieter. */
  async setEcho(quieter) {
    const { stdout } = await run("pactl", ["list", "short", "sink-inputs"], { env: this.env });
    const [echo] = stdout.split("\t");
    assert.match(echo, /^\d+$/, `no echo among: ${stdout}`);
    await run("pactl", ["set-sink-input-volume", echo, `${-quieter}dB`], { env: this.env });
  }

  /** Somebody in the room says this; resolves when they have. */
  async say(text) {
    await this.#play(await spoken(text, join(this.dir, "said.wav")));
  }

  /** Somebody listens for so many seconds, then says this. */
  async sayAfter(seconds, text) {
    const file = join(this.dir, "after.wav");
    await this.compose(file, [seconds, await spoken(text, join(this.dir, "said.wav"))]);
    await this.#play(file);
  }

  /** Somebody says a word quickly, and after a pause the rest. */
  async sayAfterAll(word, text) {
    const file = join(this.dir, "after-all.wav");
    await this.compose(file, [await spoken(word, join(this.dir, "word.wav"), 300), 0.25, await spoken(text, join(this.dir, "said.wav"))]);
    await this.#play(file);
  }

  /** A short noise. */
  async cough() {
    const file = join(this.dir, "cough.wav");
    const noise = ["-f", "lavfi", "-i", "anoisesrc=d=0.15:a=0.5:seed=1", "-y", file];
    await run("ffmpeg", ["-nostdin", "-loglevel", "error", ...noise]);
    await this.#play(file);
  }

  /** Who listens to something now. */
  async #recorders() {
    const { stdout } = await run("pactl", ["list", "short", "source-outputs"], { env: this.env });
    return stdout.split("\n").filter(Boolean).map((line) => line.split("\t")[0]);
  }

  async #play(file) {
    await run(...(await inTime("paplay", ["--device=room", file])), { env: this.env });
  }

  /** Makes a WAV file of silences, given in seconds, and other files. */
  async compose(file, parts) {
    const inputs = parts.flatMap((part) =>
      typeof part === "number" ? ["-f", "lavfi", "-t", String(part), "-i", "anullsrc=r=48000:cl=mono"] : ["-i", part]);
    const each = parts.map((_, n) => `[${n}:a]aresample=48000[p${n}]`).join(";");
    const joined = `${each};${parts.map((_, n) => `[p${n}]`).join("")}concat=n=${parts.length}:v=0:a=1`;
    await run("ffmpeg", ["-nostdin", "-loglevel", "error", "-y", ...inputs, "-filter_complex", joined, "-c:a", "pcm_s16le", file]);
  }

  /** Records what the loudspeaker plays, or all that the microphone hears; the function returned ends that and gives the WAV file. */
  async listen(where = "loudspeaker") {
    const file = join(this.dir, "heard.wav");
    const parec = await inTime("parec", [`--device=${where}.monitor`, "--file-format=wav", file]);
    const before = await this.#recorders();
    const recorder = spawn(...parec, { env: this.env });
    await once(recorder, "spawn");
    // It hears nothing before it is known there.
    while ((await this.#recorders()).every((id) => before.includes(id))) {
      assert.equal(recorder.exitCode, null, "nobody listens");
      await pause(10);
    }
    return async () => {
      recorder.kill("SIGINT");
      await once(recorder, "exit");
      return file;
    };
  }

  async close() {
    const pid = await readFile(join(this.dir, "pulse", "pid"), "utf8");
    process.kill(Number(pid), "SIGTERM");
    // As long as it is there it may write.
    while (isRunning(Number(pid))) await pause(10);
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
