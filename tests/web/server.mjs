// Runs the real server on a data directory of its own.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

const binary = process.env.COMPANION_BIN;

export class Server {
  /** Starts a server that has nothing yet, on a port the system chooses, with these settings besides. */
  static async start(settings = {}) {
    assert.ok(binary, "COMPANION_BIN has to name the server's binary");
    const server = new Server();
    server.home = await mkdtemp(join(tmpdir(), "companion-web-"));
    server.log = "";
    server.settings = settings;
    await server.#run("0");
    return server;
  }

  /** Starts the server again after `stop`: same data, same address. */
  async restart() {
    const { port } = new URL(this.origin);
    // Somebody else may have been given it meanwhile.
    for (let tries = 0; ; tries += 1) {
      const told = this.log.length;
      try {
        return await this.#run(port);
      } catch (failure) {
        if (tries === 20 || !this.log.slice(told).includes("another program uses it")) throw failure;
        await pause(500);
      }
    }
  }

  /** Asks the server to stop, and sees that it does so in good order. */
  async stop() {
    this.child.kill("SIGTERM");
    const [code, signal] = await this.exit;
    assert.deepEqual([code, signal], [0, null], `the server did not stop in good order:\n${this.log}`);
  }

  /** Does a maintenance job on its data. */
  async maintain(job) {
    await promisify(execFile)(`${binary}-maint`, [job], { cwd: this.home, env: { PATH: process.env.PATH, DATA_DIR: join(this.home, "data") } });
  }

  /** Leaves nothing behind, whatever became of the test. */
  async remove() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.stop();
    await rm(this.home, { recursive: true });
  }

  async #run(port) {
    // The working directory holds no .env file, and of the environment only PATH is handed on.
    this.child = spawn(binary, ["--data-dir", join(this.home, "data"), "--port", port], {
      cwd: this.home,
      env: { PATH: process.env.PATH, RATE_LIMIT_ENABLED: "false", ...this.settings },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exit = once(this.child, "exit");
    this.child.stderr.setEncoding("utf8").on("data", (text) => {
      this.log += text;
    });
    for await (const line of createInterface({ input: this.child.stdout })) {
      const listening = /^Listening on (http:\S+)$/.exec(line);
      if (!listening) continue;
      this.origin = listening[1];
      this.child.stdout.resume();
      return;
    }
    assert.fail(`the server did not start:\n${this.log}`);
  }
}
