// The guests of the other tests notice what goes wrong, wherever in their browser it does.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Guest, launch } from "./guest.mjs";
import { Server } from "./server.mjs";

const ELSEWHERE = "http://elsewhere.example/";

let browser;
let server;
let guest;

before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.remove();
});
beforeEach(async () => {
  guest = await Guest.arrive(browser, server, { kept: true });
  await guest.context.route(ELSEWHERE, (route) => route.fulfill({ body: "Elsewhere." }));
  await guest.open();
});
afterEach(() => guest.context.close());

test("in a second tab", async () => {
  const tab = await guest.anotherTab();
  await tab.open();
  const thrown = guest.context.waitForEvent("weberror");
  await tab.page.evaluate(() => {
    console.error("Said in vain.");
    setTimeout(() => {
      throw new Error("Thrown in vain.");
    });
  });
  await thrown;
  await tab.page.goto(ELSEWHERE);
  assert.deepEqual(guest.troubles, ["console: Said in vain.", "error: Error: Thrown in vain.", `request elsewhere: ${ELSEWHERE}`]);
  tab.excuse(/in vain|elsewhere/);
  await guest.leave();
});

test("in the worker that keeps the page", async () => {
  await guest.page.evaluate(() => navigator.serviceWorker.register("/sw.js"));
  const worker = guest.context.serviceWorkers()[0] ?? (await guest.context.waitForEvent("serviceworker"));
  // The server forbids it to ask elsewhere: so the guest is at home elsewhere.
  guest.server = { origin: new URL(ELSEWHERE).origin };
  const said = guest.context.waitForEvent("console");
  await worker.evaluate(async () => {
    await fetch("/livez");
    console.error("Said in vain.");
  });
  await said;
  assert.ok(guest.troubles.includes("console: Said in vain."));
  assert.ok(guest.troubles.includes(`request elsewhere: ${server.origin}/livez`), guest.troubles.join("\n"));
});
