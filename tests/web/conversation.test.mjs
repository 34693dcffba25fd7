// What a person notices of the web client: a real browser against the real server.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { Server } from "./server.mjs";

const FIRST_LOAD_BYTES = 60 * 1024;
const FIRST_LOAD_REQUESTS = 12;

let browser;
let server;
let guest;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

beforeEach(async () => {
  server = await Server.start();
  guest = await Guest.arrive(browser, server);
});
afterEach(async () => {
  try {
    await guest?.leave();
  } finally {
    await server.remove();
  }
});

describe("the first visit", () => {
  test("greets, says how long things are kept, and that the companion is offline", async () => {
    await guest.open();
    assert.equal(await guest.log.locator(".assistant .words").count(), 1);
    const label = guest.page.getByRole("button", { name: "offline", exact: true });
    assert.match(await label.getAttribute("title"), /built-in program.*no network, no AI model/);
    await label.click();
    await guest.page.getByText("no AI model").waitFor();
  });

  test("keeps what is written before the page can send it", async () => {
    const go = await guest.holdBack("**/static/main*.js");
    await guest.page.goto(server.origin, { waitUntil: "commit" });
    await guest.input.fill("I could not wait.");
    await guest.page.getByRole("button", { name: "Send" }).click({ force: true });
    assert.deepEqual([guest.page.url(), await guest.input.inputValue()], [`${server.origin}/`, "I could not wait."]);
    go();
    await guest.isAnnounced();
    await guest.press("Send");
    await guest.answer(1);
    assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["I could not wait."]);
  });

  test("is small and makes few requests", async () => {
    const network = await guest.context.newCDPSession(guest.page);
    const loaded = { bytes: 0, urls: [] };
    await network.send("Network.enable");
    network.on("Network.requestWillBeSent", ({ request }) => loaded.urls.push(request.url));
    network.on("Network.loadingFinished", ({ encodedDataLength }) => (loaded.bytes += encodedDataLength));
    await guest.open();
    await guest.page.getByRole("button", { name: "offline", exact: true }).waitFor();
    // Browsers fetch the icon out of sight of the page.
    const icon = await guest.page.locator("link[rel=icon]").evaluate((link) => link.href);
    if (!loaded.urls.includes(icon)) {
      const answer = await guest.context.request.get(icon);
      assert.equal(answer.status(), 200);
      loaded.urls.push(icon);
      loaded.bytes += (await answer.body()).length;
    }
    assert.ok(loaded.bytes > 0 && loaded.bytes <= FIRST_LOAD_BYTES, `${loaded.bytes} bytes`);
    assert.ok(loaded.urls.length <= FIRST_LOAD_REQUESTS, loaded.urls.join("\n"));
    console.log(`first load: ${loaded.bytes} bytes in ${loaded.urls.length} requests`);
  });

  test("warns when nobody does the maintenance", async () => {
    await guest.page.route("**/api/v1/me", async (route) => {
      const answer = await route.fetch();
      const me = await answer.json();
      assert.deepEqual(me.maintenance_overdue, []);
      await route.fulfill({ response: answer, json: { ...me, maintenance_overdue: ["backup-db"] } });
    });
    await guest.page.goto(server.origin);
    const warning = guest.page.locator("footer").getByText("Maintenance is overdue (backup-db)");
    await warning.waitFor();
    await guest.page.unroute("**/api/v1/me");
    // A conversation has begun: whoever comes back before that is looked after anyway.
    await guest.log.locator(".assistant").first().waitFor();
    // The page's clock begins anew with it: five minutes, and as long as it took until here.
    await guest.page.clock.install();
    await guest.page.clock.fastForward(600_000);
    // Headless pages do not tell that they get the focus.
    await guest.page.evaluate(() => dispatchEvent(new Event("focus")));
    await warning.waitFor({ state: "detached" });
  });

  test("sends what is written also where none could be begun at first", async () => {
    await guest.page.route("**/api/v1/session/start", (route) => route.fulfill({ status: 503, json: { error: "unavailable", message: "Not now." } }));
    await guest.page.goto(server.origin);
    await guest.page.locator("#notice").getByText("Not now.").waitFor();
    await guest.page.unrouteAll();
    await guest.input.fill("Are you there?");
    await guest.press("Send");
    await guest.answer(1);
    assert.equal((await guest.words())[1], "Are you there?");
    assert.equal(await guest.page.locator("#notice").textContent(), "");
    guest.excuse(/status of 503/);
  });

  test("with the id of a conversation that is gone begins a new one", async () => {
    await guest.page.addInitScript(() => localStorage.setItem("companion.session", "0b7e4f5e-9f5b-4c54-8a8e-0f6f4f1a9a11"));
    await guest.open();
    assert.equal(await guest.log.locator(".assistant").count(), 1);
    guest.excuse(/status of 40[14]/);
  });
});

describe("a conversation", () => {
  test("streams word by word, and survives a reload and a restart of the server", async () => {
    await guest.open();
    await guest.page.evaluate(() => {
      window.seen = new Set();
      const look = () => {
        const last = [...document.querySelectorAll("#log .assistant .words")].slice(1).pop();
        if (last?.textContent) window.seen.add(last.textContent);
      };
      new MutationObserver(look)
        .observe(document.querySelector("#log"), { childList: true, characterData: true, subtree: true });
    });
    const answer = await guest.say("Good morning! I slept well and I would like to tell you about my dream.");
    const seen = await guest.page.evaluate(() => [...window.seen]);
    const growing = seen.filter((text) => text.length < answer.length && answer.startsWith(text));
    assert.ok(growing.length >= 2, `seen: ${JSON.stringify(seen)}`);
    await guest.page.getByText(/^This conversation is kept until \d+ \w+ \d{4}; conversations idle/).waitFor();

    const said = ["Good morning! I slept well and I would like to tell you about my dream.", answer];
    await guest.page.reload();
    await guest.log.getByText(answer).waitFor();
    assert.deepEqual(await guest.words(), said);

    await server.stop();
    await server.restart();
    await guest.page.reload();
    await guest.log.getByText(answer).waitFor();
    assert.deepEqual(await guest.words(), said);
  });

  test("loses nothing when the server cannot be reached: it is tried again by hand and by itself, and the turn is taken once", async () => {
    await guest.open();
    await server.stop();
    await guest.input.fill("Are you there?");
    await guest.input.press("Enter");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    await guest.press("Try again");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    await guest.page.getByText("The companion cannot be reached. What you write is kept").waitFor();
    await server.restart();
    const answer = await guest.answer(1);
    guest.excuse(/ERR_CONNECTION_REFUSED/);
    await guest.page.reload();
    await guest.log.getByText(answer).waitFor();
    assert.deepEqual(await guest.words(), ["Are you there?", answer]);
  });

  test("what has failed five times is tried again by hand alone", async () => {
    await guest.open();
    const ids = [];
    await guest.page.route("**/api/v1/chat", (route) => {
      ids.push(route.request().postDataJSON().turn_id);
      return ids.length > 5 ? route.continue() : route.abort();
    });
    const failed = guest.page.waitForEvent("requestfailed", () => ids.length === 5);
    const isReached = guest.page.waitForResponse((response) => ids.length === 5 && response.url().endsWith("/health"));
    await guest.input.fill("Are you there?");
    await guest.input.press("Enter");
    await failed;
    await isReached;
    await guest.page.locator("#adrift").waitFor({ state: "hidden" });
    await guest.press("Try again");
    await guest.answer(1);
    assert.equal(ids.length, 6);
    assert.equal(new Set(ids).size, 1, "it is the same turn");
    guest.excuse(/ERR_FAILED/);
  });

  test("a reply that was cut off is taken up again, and kept once", async () => {
    await guest.open();
    const ids = [];
    await guest.page.route("**/api/v1/chat", async (route) => {
      ids.push(route.request().postDataJSON().turn_id);
      if (ids.length > 1) return route.continue();
      // The turn is taken; only the answer's end does not arrive.
      await route.fetch();
      return route.fulfill({ contentType: "text/event-stream", body: 'event: token\ndata: {"text":"Hal"}\n\n' });
    });
    await guest.input.fill("Tell me something.");
    await guest.input.press("Enter");
    const answer = await guest.answer(1);
    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
    await guest.page.reload();
    await guest.log.getByText(answer).waitFor();
    assert.deepEqual(await guest.words(), ["Tell me something.", answer]);
  });

  test("the same words said again are not lost when the page is loaded anew before they arrive", async () => {
    await guest.open();
    // Nobody tells the page how many turns there are.
    await guest.page.route("**/api/v1/sessions/*", (route) => route.abort());
    await guest.say("Yes.");
    await guest.page.route("**/api/v1/chat", (route) => route.abort());
    await guest.input.fill("Yes.");
    await guest.input.press("Enter");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    await guest.page.unrouteAll();
    await guest.page.reload();
    await guest.answer(1);
    await guest.page.waitForFunction(() => document.querySelectorAll("#log .user").length === 2 && !sessionStorage.length);
    assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["Yes.", "Yes."]);
    guest.excuse(/ERR_FAILED/);
  });

  test("what arrived before the page was loaded anew is there once, and can be said again", async () => {
    await guest.open();
    await guest.page.route("**/api/v1/chat", async (route) => {
      // The turn is taken; only the answer does not arrive.
      await route.fetch();
      return route.abort();
    });
    await guest.input.fill("Yes.");
    await guest.input.press("Enter");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    await guest.page.unrouteAll();
    await guest.page.reload();
    // The turn goes once more, and turns out to stand there already.
    await guest.page.waitForFunction(() => document.querySelectorAll("#log .user, #log .assistant").length === 2 && !sessionStorage.length);
    assert.equal((await guest.words())[0], "Yes.");
    await guest.log.locator(".assistant .copy").waitFor();
    await guest.say("Yes.");
    await guest.page.reload();
    await guest.answer(1);
    assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["Yes.", "Yes."]);
    guest.excuse(/ERR_FAILED/);
  });

  test("that is on its way gets what is sent meanwhile, and the one before it nothing", async () => {
    await guest.open();
    await guest.say("About gardens.");
    for (const [button, words, isRemembered] of [["New conversation", "About rivers.", true], ["Do not remember this one", "About lakes.", false]]) {
      if (!isRemembered) {
        await guest.press("New conversation");
        await guest.log.locator(".user").waitFor({ state: "detached" });
      }
      const go = await guest.holdBack("**/api/v1/session/start");
      await guest.press(button);
      await guest.input.fill(words);
      await guest.input.press("Enter");
      go();
      await guest.log.locator(".user", { hasText: "About gardens." }).waitFor({ state: "detached" });
      await guest.answer(1);
      assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), [words]);
      const { messages, remembered } = await guest.page.evaluate(() => fetch(`/api/v1/sessions/${localStorage.getItem("companion.session")}`).then((answer) => answer.json()));
      assert.deepEqual([messages[0].text, remembered], [words, isRemembered]);
    }
    const { sessions } = await guest.page.evaluate(() => fetch("/api/v1/sessions").then((answer) => answer.json()));
    assert.equal(sessions.find(({ title }) => title === "About gardens.").checkpoints, 1);
  });

  test("that has expired is followed by a new one, which answers", async () => {
    await guest.open();
    await guest.say("Remember the lake.");
    await guest.page.evaluate(() =>
      fetch(`/api/v1/sessions/${localStorage.getItem("companion.session")}`, { method: "DELETE" }));
    await guest.input.fill("Where were we?");
    await guest.input.press("Enter");
    await guest.page.getByText("The old conversation has expired or was deleted.").waitFor();
    await guest.answer(1);
    assert.equal((await guest.words())[1], "Where were we?");
    await isAccessible(guest.page);
    guest.excuse(/status of 404/);
  });

  /** What is said in one that has expired, while no other can be begun. */
  async function sayInNone() {
    await guest.open();
    await guest.say("Remember the lake.");
    await guest.page.evaluate(() =>
      fetch(`/api/v1/sessions/${localStorage.getItem("companion.session")}`, { method: "DELETE" }));
    for (const what of ["session/start", "health"]) await guest.page.route(`**/api/v1/${what}`, (route) => route.abort());
    await guest.input.fill("Where were we?");
    await guest.input.press("Enter");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    assert.equal((await guest.words()).at(-1), "Where were we?");
  }

  test("that has expired keeps what was said in it until a new one can begin, where it goes by itself", async () => {
    await sayInNone();
    await guest.page.unrouteAll();
    await guest.page.getByText("The old conversation has expired or was deleted.").waitFor();
    await guest.answer(1);
    assert.equal((await guest.words())[1], "Where were we?");
    assert.equal(await guest.input.inputValue(), "");
    guest.excuse(/status of 404|ERR_FAILED/);
  });

  test("that has expired keeps what was said in it over a reload, before a new one can begin", async () => {
    await sayInNone();
    await guest.page.reload();
    await guest.page.getByText("The companion cannot be reached. What you write is kept").waitFor();
    // That is told as soon as it is known, and may be before the page knows that the conversation is gone.
    await guest.page.waitForFunction(() => document.querySelector("#message").value === "Where were we?");
    // It goes on asking whether the server is there.
    await guest.leave(/status of 404|ERR_FAILED/);
    guest = null;
  });

  test("is there again after a reload when a new one could not be begun", async () => {
    await guest.open();
    await guest.say("Remember the lake.");
    await guest.page.route("**/api/v1/session/start", (route) => route.fulfill({ status: 503, json: { error: "unavailable", message: "Not now." } }));
    await guest.press("New conversation");
    await guest.page.locator("#notice").getByText("Not now.").waitFor();
    await guest.page.reload();
    await guest.log.getByText("Remember the lake.").waitFor();
    guest.excuse(/status of 503/);
  });

  test("sends nothing by the Enter that only accepts what an input method proposes", async () => {
    await guest.open();
    const sent = [];
    guest.page.on("request", (request) => request.url().endsWith("/chat") && sent.push(request.postDataJSON().message));
    await guest.input.fill("にほん");
    // Most browsers say that it composes; in Safari that is over by then, and the key has the code of all that are composed.
    for (const composing of [{ isComposing: true }, { isComposing: false, keyCode: 229 }]) {
      await guest.input.evaluate((input, how) => input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...how })), composing);
      assert.equal(await guest.input.inputValue(), "にほん");
    }
    await guest.input.press("Enter");
    await guest.answer(1);
    assert.deepEqual(sent, ["にほん"]);
  });

  test("gives words back that the server refuses", async () => {
    await guest.open();
    const long = "a".repeat(8001);
    await guest.input.fill(long);
    await guest.input.press("Enter");
    await guest.page.locator("#notice:not(:empty)").waitFor();
    assert.match(await guest.page.locator("#notice").textContent(), /^What you write must have at most 8000 characters/);
    assert.equal(await guest.input.inputValue(), long);
    assert.equal(await guest.log.locator(".user").count(), 0);
    guest.excuse(/status of 400/);
  });

  test("works where the browser has no randomUUID, and shows markup as the text it is", async () => {
    await guest.page.addInitScript(() => delete Crypto.prototype.randomUUID);
    await guest.open();
    const markup = '<img src=x onerror="alert(1)"><b>bold</b>';
    await guest.say(markup);
    assert.equal((await guest.words())[1], markup);
  });

  test("is written from right to left by whoever writes so, wherever it is shown", async () => {
    const hebrew = "שלום, מה שלומך?";
    const runs = (shown) => shown.evaluate((element) => getComputedStyle(element).direction);
    await guest.open();
    await guest.input.fill(hebrew);
    assert.equal(await runs(guest.input), "rtl");
    await guest.say(hebrew);
    assert.equal(await runs(guest.input), "ltr", "it is empty");
    assert.equal(await runs(guest.log.locator(".user .words")), "rtl");
    await guest.page.evaluate(async (text) => {
      const headers = { "Content-Type": "application/json" };
      await fetch("/api/v1/memories", { method: "POST", headers, body: JSON.stringify({ text }) });
    }, hebrew);
    await guest.press("Conversations");
    assert.equal(await runs(guest.page.locator("#conversations .title").first()), "rtl");
    await guest.page.getByRole("searchbox", { name: "Search titles" }).fill(hebrew);
    assert.equal(await runs(guest.page.getByRole("searchbox", { name: "Search titles" })), "rtl");
    await guest.page.getByRole("button", { name: /^Rename:/ }).click();
    assert.equal(await runs(guest.page.locator("#conversations").getByLabel("A title of your own")), "rtl");
    await guest.page.keyboard.press("Escape");
    await guest.page.locator("#conversations").getByRole("button", { name: "Close" }).click();
    await guest.press("Memories");
    assert.equal(await runs(guest.page.locator("#memories .words")), "rtl");
    await guest.page.getByRole("button", { name: /^Correct:/ }).click();
    assert.equal(await runs(guest.page.getByLabel("What is right")), "rtl");
  });

  test("shows a long past page by page, in order", async () => {
    await guest.open();
    await guest.page.evaluate(async () => {
      const session_id = localStorage.getItem("companion.session");
      const headers = { "Content-Type": "application/json" };
      for (let n = 1; n <= 52; n += 1) {
        const body = JSON.stringify({ session_id, message: `This is number ${n}.` });
        const answer = await fetch("/api/v1/chat", { method: "POST", headers, body });
        if (!answer.ok) throw new Error(await answer.text());
      }
    });
    await guest.page.reload();
    await guest.log.getByText("This is number 52.").waitFor();
    await isAccessible(guest.page);
    while (await guest.page.getByRole("button", { name: "Show earlier" }).isVisible()) {
      const before = await guest.log.locator(".user").count();
      await guest.pressTwice("Show earlier");
      await guest.log.locator(".user").nth(before).waitFor();
      await guest.page.waitForFunction(() => document.activeElement !== document.body);
    }
    const numbers = await guest.log.locator(".user .words").allTextContents();
    assert.deepEqual(numbers, Array.from({ length: 52 }, (_, n) => `This is number ${n + 1}.`));
  });
});

describe("where little height is, as on a phone on its side, a conversation", () => {
  /** All of the last message is in sight. */
  const isAtItsEnd = () =>
    guest.page.waitForFunction(() => {
      const { top, bottom } = document.querySelector("#log").lastElementChild.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });
  const scrolled = () => guest.page.evaluate(() => scrollY);

  test("is followed to its end, but not for who has scrolled up to read", async () => {
    await guest.page.setViewportSize({ width: 844, height: 390 });
    await guest.open();
    assert.ok(await guest.log.locator(".words").evaluate((greeting) => greeting.getBoundingClientRect().top >= 0), "greets in sight");
    for (const words of ["One.", "Two.", "Three.", "Four."]) {
      await guest.say(words);
      await isAtItsEnd();
    }
    await guest.page.reload();
    await guest.answer(3);
    await isAtItsEnd();
    const go = await guest.holdBack("**/api/v1/chat");
    await guest.input.fill("Five.");
    await guest.input.press("Enter");
    await guest.log.getByText("Five.").waitFor();
    await isAtItsEnd();
    const before = await scrolled();
    await guest.page.mouse.move(400, 100);
    await guest.page.mouse.wheel(0, -200);
    await guest.page.waitForFunction((top) => scrollY <= top, before - 200);
    const top = await scrolled();
    go();
    await guest.answer(4);
    await guest.log.locator(".assistant").last().locator(".copy").waitFor({ state: "attached" });
    assert.equal(await scrolled(), top);
  });
});

describe("the keyboard", () => {
  test("writes lines with Shift+Enter and sends with Enter", async () => {
    await guest.open();
    await guest.until(() => document.activeElement === document.querySelector("#message"));
    await guest.page.keyboard.type("first");
    await guest.page.keyboard.press("Shift+Enter");
    await guest.page.keyboard.type("second");
    await guest.page.keyboard.press("Enter");
    await guest.answer(1);
    assert.equal((await guest.words())[1], "first\nsecond");
    assert.equal(await guest.input.inputValue(), "");
    assert.ok(await guest.input.evaluate((input) => input === document.activeElement));
  });

  test("opens a dialog, leaves it with Escape, and is back where it was", async () => {
    await guest.open();
    for (const name of ["Conversations", "Your data"]) {
      const opener = guest.page.getByRole("button", { name, exact: true });
      await opener.focus();
      await guest.page.keyboard.press("Enter");
      await guest.page.getByRole("dialog").waitFor();
      await guest.page.keyboard.press("Escape");
      await guest.page.getByRole("dialog").waitFor({ state: "hidden" });
      assert.ok(await opener.evaluate((button) => button === document.activeElement), name);
    }
  });
});

describe("a person's own things", () => {
  test("earlier conversations can be opened again, and deleted after a question", async () => {
    await guest.open();
    const answer = await guest.say("The first one is about gardens.");
    await guest.press("New conversation");
    await guest.page.getByText("The first one is about gardens.").waitFor({ state: "detached" });
    await guest.say("The second one is about rivers.");

    await guest.press("Conversations");
    const dialog = guest.page.getByRole("dialog", { name: "Your conversations" });
    await dialog.getByRole("listitem").nth(1).waitFor();
    await dialog.getByRole("button", { name: /^Open:/ }).nth(1).click();
    await guest.log.getByText(answer).waitFor();

    await guest.press("Conversations");
    const current = dialog.getByRole("listitem").filter({ hasText: "Open now" });
    await current.getByRole("button", { name: /^Delete:/ }).click();
    await current.getByRole("button", { name: "Keep" }).click();
    assert.equal(await dialog.getByRole("listitem").count(), 2);
    await current.getByRole("button", { name: /^Delete:/ }).click();
    const gone = guest.page.waitForResponse((response) => response.request().method() === "DELETE" && response.ok());
    await current.getByRole("button", { name: "Delete", exact: true }).click();
    await dialog.waitFor({ state: "hidden" });
    await guest.log.getByText(answer).waitFor({ state: "detached" });
    // Leaving the page ends the time in which it can be undone.
    await guest.page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide")));
    await gone;

    const left = await guest.page.evaluate(() => fetch("/api/v1/sessions").then((response) => response.json()));
    assert.equal(left.sessions.filter((session) => session.checkpoints > 0).length, 1);
  });

  test("can be exported", async () => {
    await guest.open();
    await guest.say("Keep this sentence for me.");
    await guest.press("Your data");
    const [download] = await Promise.all([
      guest.page.waitForEvent("download"),
      guest.page.getByRole("link", { name: "Export" }).click(),
    ]);
    const chunks = await (await download.createReadStream()).toArray();
    assert.match(Buffer.concat(chunks).toString("utf8"), /Keep this sentence for me\./);
    JSON.parse(Buffer.concat(chunks).toString("utf8"));
  });

  test("can all be erased, after a word typed on purpose", async () => {
    await guest.open();
    await guest.say("Soon to be forgotten.");
    const before = await guest.context.cookies();
    await guest.press("Your data");
    const dialog = guest.page.getByRole("dialog", { name: "Your data" });
    const erase = dialog.getByRole("button", { name: "Erase everything" });
    assert.ok(await erase.isDisabled());
    await dialog.getByRole("textbox", { name: /type erase/ }).fill("erase");
    await erase.click();
    await dialog.getByText("Everything kept about you was erased. No backup holds any of it.").waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await guest.log.getByText("Soon to be forgotten.").waitFor({ state: "detached" });
    await guest.page.locator("#log .assistant").waitFor();
    await guest.isAnnounced();
    const left = await guest.page.evaluate(() => fetch("/api/v1/sessions").then((response) => response.json()));
    assert.equal(left.sessions.length, 1);
    assert.notDeepEqual((await guest.context.cookies()).map((one) => one.value), before.map((one) => one.value));
  });
});

describe("the page", () => {
  for (const [device, viewport] of [
    ["desktop", { width: 1280, height: 800 }],
    ["phone", { width: 320, height: 640 }],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      test(`fits a ${device} in the ${colorScheme}`, async () => {
        await guest.leave();
        guest = await Guest.arrive(browser, server, { viewport, colorScheme });
        await guest.open();
        await guest.say("Hello! I have just come home from a long walk along the river, and my feet are tired.");
        await guest.say("What should I cook tonight?");
        await guest.page.getByText("This conversation is kept until").waitFor();
        await fits("conversation");
        for (const [name, ready] of [["Conversations", "listitem"], ["Your data", "link"]]) {
          await guest.press(name);
          await guest.page.getByRole("dialog").getByRole(ready).first().waitFor();
          await fits(name.toLowerCase().replace(" ", "-"));
          await guest.page.keyboard.press("Escape");
        }

        async function fits(view) {
          const wide = await guest.page.evaluate(() =>
            [...document.querySelectorAll("html, main, dialog[open]")]
              .filter((part) => part.scrollWidth > part.clientWidth)
              .map((part) => part.tagName));
          assert.deepEqual(wide, [], `${view} is too wide`);
          if (!process.env.SCREENSHOTS) return;
          await mkdir(process.env.SCREENSHOTS, { recursive: true });
          await guest.page.screenshot({ path: join(process.env.SCREENSHOTS, `${device}-${colorScheme}-${view}.png`) });
        }
      });
    }
  }
});
