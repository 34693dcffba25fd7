// What is remembered, in the hand of whom it is of: a real browser against the real server.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { Server } from "./server.mjs";

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
    await guest.leave();
  } finally {
    await server.remove();
  }
});

const dialog = () => guest.page.getByRole("dialog", { name: "What I remember" });
const rows = () => dialog().getByRole("listitem");
const texts = () => dialog().locator("li .words").allTextContents();

/** What the server holds, superseded ones included. */
const held = () =>
  guest.page.evaluate(async () => (await (await fetch("/api/v1/memories?limit=100")).json()).memories.map(({ text }) => text));

const add = (memories) =>
  guest.page.evaluate(async (given) => {
    for (const memory of given) {
      const headers = { "Content-Type": "application/json" };
      const answer = await fetch("/api/v1/memories", { method: "POST", headers, body: JSON.stringify(memory) });
      if (!answer.ok) throw new Error(await answer.text());
    }
  }, memories);

const learned = (count) => guest.until(async (wanted) => (await (await fetch("/api/v1/memories")).json()).memories.length >= wanted, count);

async function openMemories() {
  await guest.press("Memories");
  await rows().first().waitFor();
}

describe("what is remembered", () => {
  test("is nothing at first, and says how long it is kept", async () => {
    await guest.open();
    await guest.press("Memories");
    await dialog().getByText("I remember nothing of you yet.").waitFor();
    await dialog().getByText(/kept until you forget it.*Of more than 10,000 things.*not been here for 400 days.*Backups hold/).waitFor();
  });

  test("tells where each came from, what is no longer true, and leads to its conversation", async () => {
    await guest.open();
    await guest.say("I live in Lisbon.");
    await learned(1);
    await guest.say("I moved to Porto.");
    await learned(2);
    await add([{ text: "Bruno barks at night", source: "diary", said_at: "2026-03-01T12:00:00Z" }]);
    await guest.press("New conversation");
    await guest.log.getByText("I live in Lisbon.").waitFor({ state: "detached" });
    await openMemories();
    assert.equal((await texts()).length, 3);
    const diary = rows().filter({ hasText: "Bruno" });
    assert.match(await diary.textContent(), /Said on 1 March 2026 · from “diary”/);
    const before = rows().filter({ hasText: "Lisbon" });
    assert.match(await before.textContent(), /no longer true since \d+ \w+ \d{4}/);
    const now = rows().filter({ hasText: "Porto" });
    assert.doesNotMatch(await now.textContent(), /no longer true/);
    await now.getByRole("button", { name: "Open the conversation" }).click();
    await guest.log.getByText("I moved to Porto.").waitFor();
    await dialog().waitFor({ state: "hidden" });
  });

  test("can be added, searched, and corrected by the keyboard", async () => {
    await guest.open();
    await add([{ text: "My sister lives in Porto" }, { text: "I like tea" }, { text: "Porto is where I was born" }]);
    await openMemories();
    await dialog().getByRole("textbox", { name: "Something I should remember" }).fill("I play the cello");
    await dialog().getByRole("button", { name: "Remember it" }).click();
    await dialog().getByText("I will remember it.").waitFor();
    await isAccessible(guest.page);
    assert.deepEqual(await texts(), ["I play the cello", "Porto is where I was born", "I like tea", "My sister lives in Porto"]);

    const search = dialog().getByRole("searchbox", { name: "Search what I remember" });
    await search.fill("where does my sister live");
    await search.press("Enter");
    await rows().filter({ hasText: "cello" }).waitFor({ state: "detached" });
    assert.equal((await texts())[0], "My sister lives in Porto", "the best comes first");
    await search.fill("xylophone");
    await search.press("Enter");
    await dialog().getByText("Nothing I remember fits this.").waitFor();
    await isAccessible(guest.page);
    await search.fill("");
    await search.press("Enter");
    await rows().nth(3).waitFor();

    await dialog().getByRole("button", { name: "Correct: I like tea" }).focus();
    await guest.page.keyboard.press("Enter");
    await guest.page.keyboard.press("Escape");
    const correct = dialog().getByRole("button", { name: "Correct: I like tea" });
    await correct.waitFor();
    assert.ok(await correct.evaluate((button) => button === document.activeElement));
    await guest.page.keyboard.press("Enter");
    await dialog().getByRole("textbox", { name: "What is right" }).fill("I like coffee");
    await dialog().getByRole("button", { name: "Save" }).click();
    await dialog().getByRole("button", { name: "Correct: I like coffee" }).waitFor();
    assert.ok((await held()).includes("I like coffee") && !(await held()).includes("I like tea"));
  });

  test("says when a search has found more than it shows", async () => {
    const herons = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => ({ text: `Heron number ${from + n}` }));
    const search = async (words) => {
      const box = dialog().getByRole("searchbox", { name: "Search what I remember" });
      await box.fill(words);
      const answered = guest.page.waitForResponse(/\/memories\?/);
      await box.press("Enter");
      await (await answered).finished();
    };
    const more = dialog().getByText("The 30 that fit best are shown; there are more.");
    await guest.open();
    await add([{ text: "I like tea" }, ...herons(1, 30)]);
    await openMemories();
    await search("herons");
    await rows().filter({ hasText: "tea" }).waitFor({ state: "detached" });
    assert.equal(await rows().count(), 30);
    assert.equal(await more.count(), 0, "these are all");

    await add(herons(31, 31));
    await search("herons");
    await more.waitFor();
    assert.equal(await rows().count(), 30);
    await isAccessible(guest.page);
    await search("tea");
    await more.waitFor({ state: "detached" });
    assert.deepEqual(await texts(), ["I like tea"]);
    await search("herons");
    await more.waitFor();
    await search("");
    await more.waitFor({ state: "detached" });
    assert.ok(await dialog().getByRole("button", { name: "Show more" }).isVisible());
  });

  test("keeps the correction that is being written, whatever is added or searched meanwhile", async () => {
    await guest.open();
    await add([{ text: "I like tea" }, { text: "I play the cello" }]);
    await openMemories();
    await dialog().getByRole("button", { name: "Correct: I like tea" }).click();
    const correction = dialog().getByRole("textbox", { name: "What is right" });
    await correction.fill("I like coffee");
    await dialog().getByRole("textbox", { name: "Something I should remember" }).fill("I live in Porto");
    await dialog().getByRole("button", { name: "Remember it" }).click();
    await dialog().getByText("I will remember it.").waitFor();
    assert.equal(await correction.inputValue(), "I like coffee");
    assert.deepEqual((await texts()).sort(), ["I live in Porto", "I play the cello"], "nothing stands there twice");
    const search = dialog().getByRole("searchbox", { name: "Search what I remember" });
    await search.fill("cello");
    await search.press("Enter");
    await rows().filter({ hasText: "Porto" }).waitFor({ state: "detached" });
    assert.equal(await correction.inputValue(), "I like coffee");
    await dialog().getByRole("button", { name: "Save" }).click();
    await dialog().getByRole("button", { name: "Correct: I like coffee" }).waitFor();
    assert.ok((await held()).includes("I like coffee"));
  });

  test("is forgotten one by one, unless it is taken back", async () => {
    await guest.page.clock.install();
    await guest.open();
    await add([{ text: "One" }, { text: "Two" }, { text: "Three" }]);
    await openMemories();
    await dialog().getByRole("button", { name: "Forget: Two" }).click();
    const undo = dialog().getByRole("button", { name: "Undo" });
    assert.ok(await undo.evaluate((button) => button === document.activeElement));
    await guest.page.keyboard.press("Enter");
    await dialog().getByRole("button", { name: "Forget: Two" }).waitFor();
    await guest.page.clock.runFor(20_000);
    assert.deepEqual((await held()).sort(), ["One", "Three", "Two"]);

    await dialog().getByRole("button", { name: "Forget: Two" }).click();
    assert.equal((await held()).length, 3, "not yet");
    const deleted = guest.page.waitForResponse((answer) => answer.request().method() === "DELETE");
    await guest.page.clock.runFor(10_000);
    assert.equal((await deleted).status(), 204);
    await undo.waitFor({ state: "hidden" });
    assert.deepEqual((await held()).sort(), ["One", "Three"]);

    await dialog().getByRole("button", { name: "Forget: Three" }).click();
    const search = dialog().getByRole("searchbox", { name: "Search what I remember" });
    // What is found takes the place of what stood there.
    const before = await dialog().getByRole("button", { name: "Forget: One" }).elementHandle();
    await search.fill("one");
    await search.press("Enter");
    await before.waitForElementState("hidden");
    await dialog().getByRole("button", { name: "Forget: One" }).waitFor();
    await undo.click();
    await dialog().getByRole("button", { name: "Forget: Three" }).waitFor();
    await search.fill("");
    await search.press("Enter");
    assert.deepEqual((await held()).sort(), ["One", "Three"]);

    await dialog().getByRole("button", { name: "Forget: One" }).click();
    const closed = guest.page.waitForResponse((answer) => answer.request().method() === "DELETE");
    await guest.page.keyboard.press("Escape");
    assert.equal((await closed).status(), 204, "at once when the list is closed");
    assert.deepEqual(await held(), ["Three"]);
  });

  test("is forgotten at once when the page is put aside, as a phone does with it", async () => {
    await guest.open();
    await add([{ text: "One" }, { text: "Two" }]);
    await openMemories();
    await dialog().getByRole("button", { name: "Forget: Two" }).click();
    const deleted = guest.page.waitForResponse((answer) => answer.request().method() === "DELETE");
    await guest.page.evaluate(() => {
      Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    assert.equal((await deleted).status(), 204);
    assert.deepEqual(await held(), ["One"]);
  });

  test("that could not be forgotten as the page went is asked about by the next one", async () => {
    await guest.open();
    await add([{ text: "One" }, { text: "Two" }]);
    await openMemories();
    await dialog().getByRole("button", { name: "Forget: Two" }).click();
    await dialog().getByText("Forgotten.").waitFor();
    await guest.goesWhileItIsAway(true);
    const told = guest.page.locator("#notice").getByText(/^Still here, because it could not be deleted: “Two”\./);
    await told.waitFor();
    await guest.press("Delete now");
    await told.waitFor({ state: "detached" });
    assert.deepEqual(await held(), ["One"]);
  });

  test("that could not be forgotten is there again", async () => {
    await guest.page.clock.install();
    await guest.open();
    await add([{ text: "Stubborn" }]);
    await openMemories();
    await guest.page.route("**/api/v1/memories/*", (route) => route.abort());
    await dialog().getByRole("button", { name: "Forget: Stubborn" }).click();
    await guest.page.clock.runFor(10_000);
    await dialog().getByRole("alert").getByText("cannot be reached").waitFor();
    await dialog().getByRole("button", { name: "Forget: Stubborn" }).waitFor();
    await isAccessible(guest.page);
    guest.excuse(/ERR_FAILED/);
  });

  test("that could not be forgotten is told on the page where the list is closed by then", async () => {
    await guest.open();
    await add([{ text: "Stubborn" }]);
    await openMemories();
    await guest.page.route("**/api/v1/memories/*", (route) => route.fulfill({ status: 503, json: { error: "server_busy", message: "Not now." } }));
    await dialog().getByRole("button", { name: "Forget: Stubborn" }).click();
    await guest.page.keyboard.press("Escape");
    await guest.page.locator("#notice").getByText("What you wanted forgotten is still remembered: Not now.").waitFor();
    assert.deepEqual(await held(), ["Stubborn"]);
    await openMemories();
    await dialog().getByRole("button", { name: "Forget: Stubborn" }).waitFor();
    guest.excuse(/status of 503/);
  });

  test("is added and corrected once, also by somebody who presses twice", async () => {
    const asked = [];
    guest.page.on("request", (request) => request.method() !== "GET" && asked.push(request.method()));
    await guest.open();
    await guest.press("Memories");
    await dialog().getByRole("textbox", { name: "Something I should remember" }).fill("I like rivers");
    asked.length = 0;
    await guest.pressTwice("Remember it");
    await dialog().getByText("I will remember it.").waitFor();
    assert.deepEqual(await held(), ["I like rivers"]);
    await dialog().getByRole("button", { name: "Correct: I like rivers" }).click();
    await dialog().getByRole("textbox", { name: "What is right" }).fill("I like lakes");
    await guest.pressTwice("Save");
    await dialog().getByRole("button", { name: "Correct: I like lakes" }).waitFor();
    assert.deepEqual(asked, ["POST", "PATCH"]);
    // And the next one is added as the first was.
    await dialog().getByRole("textbox", { name: "Something I should remember" }).fill("I like hills");
    await guest.press("Remember it");
    await rows().nth(1).waitFor();
    assert.deepEqual(await texts(), ["I like hills", "I like lakes"]);
  });

  test("is all forgotten, after a word typed on purpose", async () => {
    await guest.open();
    await guest.say("Let us go on talking.");
    await add([{ text: "One" }, { text: "Two" }]);
    await openMemories();
    const all = dialog().getByRole("button", { name: "Forget everything" });
    assert.ok(await all.isDisabled());
    await dialog().getByRole("textbox", { name: /type forget/ }).fill("forget");
    await all.click();
    await dialog().getByText("Everything is forgotten.").waitFor();
    await dialog().getByText("I remember nothing of you yet.").waitFor();
    await isAccessible(guest.page);
    assert.deepEqual(await held(), []);
    await guest.page.keyboard.press("Escape");
    await guest.log.getByText("Let us go on talking.").waitFor();
  });

  test("is shown page by page", async () => {
    await guest.open();
    await add(Array.from({ length: 65 }, (_, number) => ({ text: `Number ${number + 1}` })));
    await openMemories();
    assert.equal(await rows().count(), 30);
    for (const count of [60, 65]) {
      await guest.pressTwice("Show more");
      await rows().nth(count - 1).waitFor();
      assert.match(await guest.page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? ""), /^Correct: Number/, "the focus goes on with the page that has come");
    }
    assert.ok(await dialog().getByRole("button", { name: "Show more" }).isHidden());
    // Whatever else was asked for is there after this.
    await held();
    assert.deepEqual(await texts(), Array.from({ length: 65 }, (_, number) => `Number ${65 - number}`));
  });
});
