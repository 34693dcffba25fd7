// A network that hangs: nothing is refused, and nothing comes. It is told of as one that drops.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { Line } from "./line.mjs";
import { Server } from "./server.mjs";

const LOST = /ERR_|Failed to load resource/;

let browser;
let server;
let line;
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
  line = await Line.to(server);
});
afterEach(async () => {
  try {
    await guest.leave(LOST);
  } finally {
    server.origin = line.beyond;
    line.close();
  }
});

const adrift = () => guest.page.locator("#adrift");

/** While its clock runs ahead the page gives up what the server has had no time to answer, and tells of that, too, until it looks again. */
const isOver = () => adrift().waitFor({ state: "hidden", timeout: 40_000 });

test("while a turn is on its way is told of within half a minute, and what was said goes by itself, once, when it is over", async () => {
  guest = await Guest.arrive(browser, server);
  await guest.page.clock.install();
  await guest.open();
  await guest.say("Before.");
  let sent = 0;
  guest.page.on("request", (request) => request.url().endsWith("/chat") && (sent += 1));
  line.hang();
  await guest.input.fill("Said into a dead network.");
  await guest.input.press("Enter");
  await guest.passes(() => adrift().isVisible(), 30_000);
  assert.match(await adrift().textContent(), /What you write is kept/);
  line.goOn();
  // It is given up, and then sent once more.
  await guest.passes(async () => sent === 2 || (await guest.page.getByText("What you wrote is still here.").isVisible()), 100_000);
  for (const end = Date.now() + 40_000; sent < 2 && Date.now() < end; ) await guest.page.waitForTimeout(50);
  assert.equal(sent, 2);
  await guest.log.locator(".assistant .words:not(:empty)").nth(2).waitFor();
  await isOver();
  assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["Before.", "Said into a dead network."]);
});

test("while the page begins is told of, and what was sent meanwhile goes once it is over", async () => {
  guest = await Guest.arrive(browser, server);
  await guest.page.clock.install();
  await guest.page.route("**/api/v1/**", () => {});
  await guest.page.goto(server.origin);
  await guest.input.fill("Is anybody there?");
  await guest.input.press("Enter");
  await guest.passes(() => adrift().isVisible(), 30_000);
  await guest.page.unroute("**/api/v1/**");
  await guest.log.locator(".assistant .words:not(:empty)").nth(1).waitFor({ timeout: 40_000 });
  assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["Is anybody there?"]);
  await isOver();
});

test("while a list is opened is told of there", async () => {
  guest = await Guest.arrive(browser, server);
  await guest.page.clock.install();
  await guest.open();
  await guest.page.route("**/api/v1/sessions?**", () => {});
  await guest.press("Conversations");
  const told = guest.page.getByRole("alert").getByText("The companion cannot be reached right now.");
  await guest.page.getByRole("dialog").waitFor();
  await guest.passes(() => told.isVisible(), 30_000);
  await isAccessible(guest.page);
});
