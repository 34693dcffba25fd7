// What a person notices of ACCESS_TOKEN: a real browser against the real server.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { Server } from "./server.mjs";

const TOKEN = "open-sesame";
const REFUSED = /status of 401/;

let browser;
let server;
let guest;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

beforeEach(async () => {
  server = await Server.start({ ACCESS_TOKEN: TOKEN });
  guest = await Guest.arrive(browser, server);
});
afterEach(async () => {
  try {
    await guest.leave();
  } finally {
    await server.remove();
  }
});

const address = (path) => new URL(path, server.origin).href;
const token = () => guest.page.getByLabel("Access token");

async function isAskedToSignIn() {
  await guest.page.waitForURL(address("/sign-in"));
  await guest.page.locator("#sign-in button:enabled").waitFor();
}

async function signIn() {
  await guest.page.goto(server.origin);
  await isAskedToSignIn();
  guest.excuse(REFUSED);
  await token().fill(TOKEN);
  await guest.press("Sign in");
  await guest.page.waitForURL(address("/"));
  await guest.isAnnounced();
}

describe("a companion that is not open to everyone", () => {
  test("sends nothing before it can, and loses nothing of what was typed by then", async () => {
    const go = await guest.holdBack("**/static/sign-in*.js");
    const sent = [];
    guest.page.on("request", (request) => request.method() === "POST" && sent.push(request.url()));
    await guest.page.goto(address("/sign-in"), { waitUntil: "commit" });
    await token().fill(TOKEN);
    await token().press("Enter");
    await guest.page.getByRole("button", { name: "Sign in" }).click({ force: true });
    assert.deepEqual([sent, await token().inputValue()], [[], TOKEN]);
    go();
    await guest.press("Sign in");
    await guest.page.waitForURL(address("/"));
    await guest.isAnnounced();
    assert.equal(sent[0], address("/api/v1/sign-in"));
  });

  test("leads to where one signs in, says what is wrong, and lets in by the keyboard alone", async () => {
    await guest.page.goto(server.origin);
    await isAskedToSignIn();
    guest.excuse(REFUSED);
    await guest.page.waitForFunction(() => document.activeElement.id === "token");
    await guest.page.keyboard.type("a guess");
    await guest.page.keyboard.press("Enter");
    await guest.page.getByRole("alert").getByText("This is not the access token").waitFor();
    guest.excuse(REFUSED);
    await guest.page.waitForFunction(() => document.activeElement.id === "token");
    await guest.page.keyboard.type(TOKEN);
    await guest.page.keyboard.press("Tab");
    await guest.page.keyboard.press("Enter");
    await guest.page.waitForURL(address("/"));
    await guest.isAnnounced();
    const answer = await guest.say("Good morning!");
    await guest.page.reload();
    await guest.log.getByText(answer).waitFor();
    const cookie = (await guest.context.cookies()).find(({ name }) => name === "companion_access");
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/"]);
    assert.doesNotMatch(cookie.value, /sesame/);
  });

  test("says to whoever guesses too often how long to wait", async () => {
    for (let number = 1; number <= 10; number += 1) {
      const answer = await guest.context.request.post(address("/api/v1/sign-in"), { data: { token: `guess ${number}` } });
      assert.equal(answer.status(), 401);
    }
    await guest.page.goto(address("/sign-in"));
    await token().fill("one more");
    await guest.press("Sign in");
    await guest.page.getByRole("alert").getByText(/^Too many requests; please wait \d+ s$/).waitFor();
    await isAccessible(guest.page);
    guest.excuse(/status of 429/);
  });

  test("is left by signing out, for good", async () => {
    await signIn();
    const before = await guest.context.cookies();
    await guest.input.fill("Mine alone.");
    await guest.press("Your data");
    await guest.press("Sign out");
    await guest.page.getByText("To come back you need the access token").waitFor();
    await isAccessible(guest.page);
    await guest.press("Sign out for good");
    await isAskedToSignIn();
    await guest.context.addCookies(before);
    await guest.page.goto(server.origin);
    await isAskedToSignIn();
    guest.excuse(REFUSED);
    await signIn();
    assert.equal(await guest.input.inputValue(), "", "nothing of whoever left");
  });

  test("loses nothing of what was written when one is signed out meanwhile", async () => {
    await signIn();
    await guest.page.evaluate(() => fetch("/api/v1/sign-out", { method: "POST" }));
    await guest.input.fill("Are you there?");
    await guest.input.press("Enter");
    await guest.page.getByText("You are signed out. What you wrote is still here.").waitFor();
    guest.excuse(REFUSED);
    const opened = guest.context.waitForEvent("page");
    await guest.page.getByRole("link", { name: "Sign in in another tab" }).click();
    const tab = await opened;
    await tab.getByLabel("Access token").fill(TOKEN);
    await tab.getByRole("button", { name: "Sign in" }).click();
    await tab.waitForURL(address("/"));
    await tab.close();
    await guest.press("Try again");
    const answer = await guest.answer(1);
    assert.deepEqual((await guest.words()).slice(1), ["Are you there?", answer]);
  });

  test("leads to where one signs in from every list that is opened", async () => {
    for (const name of ["Conversations", "Memories", "Your data"]) {
      await signIn();
      await guest.page.evaluate(() => fetch("/api/v1/sign-out", { method: "POST" }));
      await guest.press(name);
      await isAskedToSignIn();
      guest.excuse(REFUSED);
    }
  });

  test("says nothing of signing out where nobody signs in", async () => {
    await guest.leave();
    await server.remove();
    server = await Server.start();
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.press("Your data");
    const dialog = guest.page.getByRole("dialog", { name: "Your data" });
    await dialog.getByRole("link", { name: "Export" }).waitFor();
    assert.equal(await dialog.getByRole("button", { name: "Sign out" }).count(), 0);
  });
});

describe("the page to sign in at", () => {
  for (const [device, viewport] of [
    ["desktop", { width: 1280, height: 800 }],
    ["phone", { width: 320, height: 640 }],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      test(`fits a ${device} in the ${colorScheme}`, async () => {
        await guest.leave();
        guest = await Guest.arrive(browser, server, { viewport, colorScheme });
        await guest.page.goto(address("/sign-in"));
        await token().fill("a guess");
        await guest.press("Sign in");
        await guest.page.getByRole("alert").getByText("This is not the access token").waitFor();
        guest.excuse(REFUSED);
        const wide = await guest.page.evaluate(() =>
          [...document.querySelectorAll("html, main, form")]
            .filter((part) => part.scrollWidth > part.clientWidth)
            .map((part) => part.tagName));
        assert.deepEqual(wide, []);
        const paper = await guest.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
        assert.equal(paper, colorScheme === "dark" ? "rgb(23, 27, 28)" : "rgb(247, 244, 238)");
        if (!process.env.SCREENSHOTS) return;
        await mkdir(process.env.SCREENSHOTS, { recursive: true });
        await guest.page.screenshot({ path: join(process.env.SCREENSHOTS, `${device}-${colorScheme}-sign-in.png`) });
      });
    }
  }
});
