// The page that the browser keeps: it opens without its server, and the release that is served is the one that is shown.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { EarlierRelease } from "./earlier-release.mjs";
import { Guest, launch } from "./guest.mjs";
import { Line } from "./line.mjs";
import { Proxy } from "./proxy.mjs";
import { Server } from "./server.mjs";

const UNREACHABLE = /ERR_CONNECTION_REFUSED|ERR_FAILED|ERR_INTERNET_DISCONNECTED/;
const ADRIFT = /What you write is kept, and goes by itself once it can be reached again\.$/;

let browser;
let server;
let guest;
let troubles;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());
beforeEach(async () => {
  troubles = UNREACHABLE;
  server = await Server.start();
});
afterEach(async () => {
  try {
    await guest.leave(troubles);
  } finally {
    await server.remove();
  }
});

/** This alone is kept, and the worker that keeps it is at work. */
const isKept = (name) =>
  guest.until(async (name) => {
    const registered = await navigator.serviceWorker.getRegistration();
    const names = await caches.keys();
    return registered?.active?.state === "activated" && !registered.installing && names.length === 1 && names[0] === name;
  }, name);

const nameIn = (worker) => /companion-[0-9a-f]{16}/.exec(worker)[0];

test("opens without its server, says so, keeps what is written and sends it once the server is there again", async () => {
  guest = await Guest.arrive(browser, server, { kept: true });
  await guest.open();
  const answer = await guest.say("Before the network dropped.");
  await isKept(nameIn(await (await fetch(new URL("/sw.js", server.origin))).text()));
  await server.stop();
  await guest.input.fill("Half a thought");
  await guest.page.reload();
  await guest.page.locator("#adrift").getByText(ADRIFT).waitFor();
  assert.equal(await guest.input.inputValue(), "Half a thought");
  await guest.press("Conversations");
  await guest.page.getByRole("alert").getByText("The companion cannot be reached right now.").waitFor();
  await guest.page.keyboard.press("Escape");
  await server.restart();
  await guest.page.evaluate(() => dispatchEvent(new Event("online")));
  await guest.log.getByText(answer).waitFor();
  await guest.page.locator("#adrift").waitFor({ state: "hidden" });
  await guest.press("Send");
  await guest.answer(1);
  assert.equal((await guest.words())[2], "Half a thought");
  const places = await guest.page.evaluate(async () => {
    const cache = await caches.open((await caches.keys())[0]);
    return (await cache.keys()).map(({ url }) => new URL(url).pathname);
  });
  assert.ok(places.length > 10);
  assert.deepEqual(places.filter((place) => place !== "/" && !/^\/static\/[\w./-]+-[0-9a-f]{16}\.\w+$/.test(place)), []);
});

test("opens where a proxy answers in the place of a server that is away, and sends what was said by itself once that is back", async (t) => {
  const proxy = await Proxy.to(server);
  // Not before the page has gone.
  t.after(() => proxy.close());
  troubles = /status of (502|404)/;
  guest = await Guest.arrive(browser, server, { kept: true });
  await guest.open();
  await guest.say("Before it went away.");
  await isKept(nameIn(await (await fetch(new URL("/sw.js", server.origin))).text()));
  proxy.away = 502;
  await guest.input.fill("Said into the proxy.");
  await guest.press("Send");
  await guest.page.locator("#adrift").getByText(ADRIFT).waitFor();
  // As some do that have noticed by then.
  proxy.away = 404;
  await guest.page.reload();
  await guest.page.locator("#adrift").getByText(ADRIFT).waitFor();
  proxy.away = null;
  await guest.page.locator("#adrift").waitFor({ state: "hidden" });
  await guest.answer(1);
  assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["Before it went away.", "Said into the proxy."]);
});

test("opens on a network that hangs, too, and says so", async () => {
  const line = await Line.to(server);
  // What hangs is cut in the end.
  troubles = /ERR_/;
  try {
    guest = await Guest.arrive(browser, server, { kept: true });
    await guest.open();
    await isKept(nameIn(await (await fetch(new URL("/sw.js", server.origin))).text()));
    await guest.page.clock.install();
    line.hang();
    await guest.page.goto(server.origin);
    await guest.passes(() => guest.page.locator("#adrift").isVisible(), 30_000);
    assert.match(await guest.page.locator("#adrift").textContent(), ADRIFT);
  } finally {
    line.close();
  }
});

test("is the new release after an upgrade, and that one alone is kept", async () => {
  const [page, worker] = await Promise.all(["/", "/sw.js"].map(async (path) => (await fetch(new URL(path, server.origin))).text()));
  await server.stop();
  const release = await EarlierRelease.of(server, page, (name, text) =>
    name === "index.html" ? text.replace("<h1>Companion</h1>", "<h1>Companion of yesterday</h1>") : `${text}\n`);
  release.keepsItself(worker);
  await release.leaveIn(server);
  await server.restart();
  await release.serve(server);
  try {
    guest = await Guest.arrive(browser, server, { kept: true });
    await guest.open();
    await guest.page.getByRole("heading", { name: "Companion of yesterday" }).waitFor();
    // As the page does after a while.
    await guest.page.evaluate(() => navigator.serviceWorker.register("/sw.js"));
    await isKept("companion-earlier");
    release.upgrade();
    // Not loaded anew, but come to again: the browser's own cache still holds the page for a while.
    await guest.page.goto("about:blank");
    await guest.page.goto(server.origin);
    await guest.page.getByRole("heading", { name: "Companion", exact: true }).waitFor();
    await guest.page.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
    await isKept(nameIn(worker));
    release.close();
    await guest.page.reload();
    await guest.page.getByRole("heading", { name: "Companion", exact: true }).waitFor();
    await guest.page.locator("#adrift").getByText(ADRIFT).waitFor();
  } finally {
    release.close();
  }
});

test("is not what something before the server shows in its place, as a page to sign in at", async () => {
  const page = await (await fetch(server.origin)).text();
  await server.stop();
  const release = await EarlierRelease.of(server, page, (name, text) => (name === "index.html" ? "<!doctype html><title>Sign in</title>" : text));
  await server.restart();
  await release.serve(server);
  try {
    guest = await Guest.arrive(browser, server, { kept: true });
    // It has no icon.
    troubles = /status of 404/;
    await guest.page.goto(server.origin);
    const ended = await guest.page.evaluate(async () => {
      const { installing } = await navigator.serviceWorker.register("/sw.js");
      await new Promise((resolve) => {
        installing.addEventListener("statechange", () => ["redundant", "activated"].includes(installing.state) && resolve());
      });
      return [installing.state, (await (await caches.open((await caches.keys())[0])).keys()).length];
    });
    assert.deepEqual(ended, ["redundant", 0]);
  } finally {
    release.close();
  }
});
