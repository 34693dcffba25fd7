// Someone at a browser, who notices every trouble the page has.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { look } from "./looks.mjs";

// The same browser without windows, which needs half the processor time; where there is something to hear, the whole one.
const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium-headless-shell";
const WITH_SOUND = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
// What has to happen is waited for longer than a busy machine takes for it.
const WAIT_MS = 40_000;
const STEP_MS = 1000;

/** A headless browser, with these flags besides. One that has a `room` is heard in it, and hears it. */
export const launch = (flags = [], room = null) =>
  chromium.launch({
    executablePath: room ? WITH_SOUND : CHROMIUM,
    args: [...FLAGS, ...flags],
    ...(room && { env: room.env, ignoreDefaultArgs: ["--mute-audio"] }),
  });

/** Someone at a browser of their own. */
export class Guest {
  /** `kept` says that the browser may keep the page. Otherwise it does not: tests hold back what a page that was kept would not ask for. */
  static async arrive(browser, server, { kept = false, ...options } = {}) {
    const arrived = new Guest();
    arrived.server = server;
    arrived.troubles = [];
    arrived.context = await browser.newContext({ locale: "en-GB", ...look, ...options });
    if (!kept) await arrived.context.addInitScript(() => delete Navigator.prototype.serviceWorker);
    arrived.context.setDefaultTimeout(WAIT_MS);
    arrived.#watch();
    arrived.page = await arrived.context.newPage();
    return arrived;
  }

  /** Every tab there will be, and the worker that keeps the page. */
  #watch() {
    const note = (what) => this.troubles.push(what);
    this.context.on("console", (said) => {
      if (["error", "warning"].includes(said.type())) note(`console: ${said.text()}`);
    });
    this.context.on("weberror", (thrown) => note(`error: ${thrown.error()}`));
    this.context.on("request", (request) => {
      if (new URL(request.url()).origin !== this.server.origin) note(`request elsewhere: ${request.url()}`);
    });
    this.context.on("page", (page) => page.on("websocket", (socket) => {
      if (new URL(socket.url()).host !== new URL(this.server.origin).host) note(`socket elsewhere: ${socket.url()}`);
    }));
  }

  /** Another tab of the same browser, whose troubles are theirs, too. */
  async anotherTab() {
    const tab = Object.create(this);
    tab.page = await this.context.newPage();
    return tab;
  }

  /** Forgets the troubles a test has caused on purpose; all have to be of this kind. */
  excuse(expected) {
    assert.deepEqual(this.troubles.filter((trouble) => !expected.test(trouble)), []);
    this.troubles.length = 0;
  }

  /** Ends the visit: there was no trouble, but for such as was expected to the end. */
  async leave(expected) {
    await this.context.close();
    if (expected) this.excuse(expected);
    assert.deepEqual(this.troubles, []);
  }

  async open() {
    await this.page.goto(this.server.origin);
    await this.isAnnounced();
  }

  /** These files do not come until what is returned is called. */
  async holdBack(files) {
    let go;
    const held = new Promise((resolve) => (go = resolve));
    await this.page.route(files, async (route) => {
      await held;
      await route.continue();
    });
    return go;
  }

  /** Waits until the page says so; `question` may ask its server, which `waitForFunction` does not wait for. */
  async until(question, about) {
    const end = Date.now() + WAIT_MS;
    while (!(await this.page.evaluate(question, about))) {
      assert.ok(Date.now() < end, `never: ${question}`);
      await this.page.waitForTimeout(50);
    }
  }

  /** Goes away from the page, or puts it aside first as a phone does, while the server cannot be reached; comes back once it can. */
  async goesWhileItIsAway(isPutAside) {
    await this.server.stop();
    if (isPutAside) {
      await this.page.evaluate(() => {
        Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      });
    }
    await this.page.goto("about:blank");
    await this.server.restart();
    this.excuse(/ERR_CONNECTION_(REFUSED|RESET)/);
    await this.open();
  }

  /** Lets the page's own time pass until it is so (`clock.install` comes before), but not more than so much of it. */
  async passes(isSo, mostMs) {
    for (let ms = 0; !(await isSo()); ms += STEP_MS) {
      assert.ok(ms < mostMs, `not within ${mostMs} ms of the page's time: ${isSo}`);
      await this.page.clock.runFor(STEP_MS);
      // What the browser does besides has its own.
      await this.page.waitForTimeout(20);
    }
  }

  async isAnnounced() {
    const told = /idle for 7 days are deleted\. People not seen for 400 days are forgotten\.$/;
    await this.page.locator("footer").getByText(told).waitFor();
  }

  get log() {
    return this.page.getByRole("log");
  }

  get input() {
    return this.page.getByRole("textbox", { name: /^Your message/ });
  }

  /** Says something, waits for the whole answer and returns it. */
  async say(text) {
    const answers = await this.log.locator(".assistant").count();
    await this.input.fill(text);
    await this.input.press("Enter");
    return this.answer(answers);
  }

  /** Waits for the answer after so many earlier ones; what was cut off and begins again is none yet. */
  async answer(earlier) {
    const answers = this.page.locator("#log:not([aria-busy]) .assistant");
    const words = answers.nth(earlier).locator(".words:not(:empty)");
    await words.waitFor();
    return words.textContent();
  }

  async words() {
    return this.log.locator(".words").allTextContents();
  }

  press(name) {
    return this.page.getByRole("button", { name, exact: true }).click();
  }

  /** As somebody impatient does, before anything has come of the first time. */
  pressTwice(name) {
    return this.page.getByRole("button", { name, exact: true }).evaluate((button) => {
      button.focus();
      button.click();
      button.click();
    });
  }
}
