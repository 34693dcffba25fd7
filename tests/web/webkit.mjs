// Someone at WebKit, driven through its own driver. WebKit is what iPhones have: it records MP4, and no WebM.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

import { inTime } from "./in-time.mjs";

const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
const WAIT_MS = 40_000;
const LOOK_MS = 50;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A screen that nobody looks at. */
async function screen() {
  const server = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x900x24"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const [number] = await once(createInterface({ input: server.stdio[3] }), "line");
  return { name: `:${number.trim()}`, server };
}

/** The driver can only be told a port, so it gets one that was free just now. */
async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

async function stopped(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill();
  await once(child, "exit");
}

export class WebKit {
  /** Opens a window in this room. */
  static async open(room) {
    const webkit = new WebKit();
    webkit.screen = await screen();
    const port = await freePort();
    const driver = await inTime("WebKitWebDriver", ["--host=127.0.0.1", `--port=${port}`]);
    webkit.driver = spawn(...driver, {
      // Its sandbox needs a machine that allows one.
      env: { ...room.env, DISPLAY: webkit.screen.name, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" },
      stdio: "ignore",
    });
    webkit.address = `http://127.0.0.1:${port}`;
    await webkit.until(() => fetch(`${webkit.address}/status`).then((answer) => answer.ok, () => false), "the driver");
    const { sessionId } = await webkit.#ask("POST", "/session", { capabilities: {} });
    webkit.address += `/session/${sessionId}`;
    return webkit;
  }

  /** Waits until this is true. */
  async until(look, what) {
    for (let waited = 0; waited < WAIT_MS; waited += LOOK_MS) {
      const found = await look();
      if (found) return found;
      await pause(LOOK_MS);
    }
    return assert.fail(`waited in vain for ${what}`);
  }

  go(url) {
    return this.#ask("POST", "/url", { url });
  }

  /** What these statements return in the page, where they may await. */
  run(statements) {
    const script = `const done = arguments[0];
      (async () => { ${statements} })().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    return this.#ask("POST", "/execute/async", { script, args: [] }).then(({ value, error }) => {
      assert.equal(error, undefined);
      return value;
    });
  }

  /** Clicks as a person does: with a pointer, pressed and let go. */
  async click(selector) {
    const found = await this.#ask("POST", "/element", { using: "css selector", value: selector });
    await this.#ask("POST", `/element/${found[ELEMENT]}/click`, {});
  }

  /** Waits for an element, and returns its text. */
  text(selector) {
    return this.until(
      () => this.run(`return document.querySelector(${JSON.stringify(selector)})?.textContent`),
      selector,
    );
  }

  async close() {
    await this.#ask("DELETE", "");
    await stopped(this.driver);
    await stopped(this.screen.server);
  }

  async #ask(method, path, body) {
    const answer = await fetch(this.address + path, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    assert.ok(answer.ok, `${method} ${path}: ${value?.error}: ${value?.message}`);
    return value;
  }
}
