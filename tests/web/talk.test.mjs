// What a person notices while they talk: answers to read, copy and hear, what was remembered for them, and a network that drops.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { Model } from "./model.mjs";
import { Server } from "./server.mjs";
import { HUMMING } from "./silence.mjs";

const GONE = /ERR_|Failed to load resource/;

let browser;
let model;
const servers = {};
let guest;

before(async () => {
  browser = await launch(["--autoplay-policy=no-user-gesture-required"]);
  model = await Model.start();
  servers.plain = await Server.start();
  servers.speaks = await Server.start({ TTS_COMMAND: HUMMING });
  servers.thinks = await Server.start(model.settings);
});
after(async () => {
  await browser?.close();
  for (const server of Object.values(servers)) await server.remove();
  model?.close();
});
afterEach(async () => {
  const left = guest;
  guest = null;
  await left?.leave();
});

async function arrive(server, options) {
  guest = await Guest.arrive(browser, server, options);
  await guest.open();
}

const deed = (name) => guest.log.getByRole("button", { name, exact: true });
/** What is kept beyond the page, without what tells one tab from another. */
const stored = () =>
  guest.page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }].map((all) => Object.keys(all).map((name) => name.replace(/[\d.e-]+$/, ".*")).sort()));

/** The page notes that it says so: on a busy machine that may be over before the next look. Returns what waits for it. */
async function notesCopied() {
  await guest.page.evaluate(() => {
    const log = document.querySelector("#log");
    new MutationObserver(() => (window.isCopied ||= log.textContent.includes("Copied"))).observe(log, { childList: true, characterData: true, subtree: true });
  });
  return () => guest.until(() => window.isCopied === true);
}

describe("an answer", () => {
  test("that a model writes as Markdown is plain prose: as it grows, copied, and after a reload", async () => {
    model.pieces = ["## A pl", "an\n\nFirst, **so", "up** with `car", "rots`:\n\n* wash\n* *cut*\n\n", "---\n\nSee [the", " recipe](https://example.org/soup).\n"];
    const prose = "A plan\n\nFirst, soup with carrots:\n\n- wash\n- cut\n\nSee the recipe (https://example.org/soup).\n";
    await arrive(servers.thinks, { permissions: ["clipboard-read", "clipboard-write"] });
    await guest.page.evaluate(() => {
      window.seen = [];
      new MutationObserver(() => window.seen.push(document.querySelector("#log").textContent))
        .observe(document.querySelector("#log"), { childList: true, characterData: true, subtree: true });
    });
    assert.equal(await guest.say("What shall I cook?"), prose);
    const seen = await guest.page.evaluate(() => window.seen);
    assert.ok(seen.length > 2 && seen.every((text) => !/[*#`[\]]|---/.test(text)), JSON.stringify(seen));
    const isCopied = await notesCopied();
    await deed("Copy").click();
    await isCopied();
    assert.equal(await guest.page.evaluate(() => navigator.clipboard.readText()), prose);
    await guest.page.mouse.move(0, 0);
    await guest.page.reload();
    await deed("Copy").waitFor();
    assert.equal((await guest.words())[1], prose);
    assert.equal(await deed("Copy").evaluate((button) => getComputedStyle(button).opacity), "1", "below the last answer it is seen");
  });

  test("is copied where the page may not use the clipboard, too, and by a key", async () => {
    await arrive(servers.plain, { permissions: ["clipboard-read"] });
    await guest.page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    const answer = await guest.say("I would like to talk about my garden.");
    await deed("Copy").waitFor();
    await guest.page.evaluate(() => document.addEventListener("copy", () => (window.copied = String(getSelection()))));
    const isCopied = await notesCopied();
    await guest.page.keyboard.press("Control+Shift+Y");
    await isCopied();
    assert.equal(await guest.page.evaluate(() => window.copied), answer);
    assert.ok(await guest.input.evaluate((input) => input === document.activeElement), "the focus stays where one writes");
  });

  test("can be copied also where that could not be loaded at first, once another one is there", async () => {
    await arrive(servers.plain);
    await guest.page.route("**/static/answer*.js", (route) => route.abort());
    const failed = guest.page.waitForEvent("requestfailed", (request) => /answer/.test(request.url()));
    await guest.say("I would like to talk about my garden.");
    await failed;
    assert.equal(await deed("Copy").count(), 0);
    await guest.page.unrouteAll();
    await guest.say("And about the river.");
    await deed("Copy").nth(1).waitFor();
    assert.equal(await deed("Copy").count(), 2);
    guest.excuse(GONE);
  });

  test("shows what was remembered for it, when one wants to know", async () => {
    await arrive(servers.plain);
    await guest.say("My sister is called Anna.");
    await guest.until(() => fetch("/api/v1/memories").then((answer) => answer.json()).then((all) => all.memories.length > 0));
    await guest.press("New conversation");
    await guest.page.getByText("My sister is called Anna.").waitFor({ state: "detached" });
    await guest.say("What is my sister called?");
    const used = guest.log.getByText("Remembered 1 thing");
    await used.focus();
    assert.equal(await guest.log.getByText(/Anna/).isVisible(), false);
    await guest.page.keyboard.press("Enter");
    await guest.log.getByRole("listitem").filter({ hasText: "Anna" }).waitFor();

    // Days later it is still told; of what was forgotten since nothing.
    await guest.page.reload();
    await guest.log.getByText("Remembered 1 thing").click();
    await guest.log.getByRole("listitem").filter({ hasText: "Anna" }).waitFor();
    await guest.page.evaluate(() => fetch("/api/v1/memories", { method: "DELETE" }));
    await guest.page.reload();
    await deed("Copy").waitFor();
    assert.equal(await guest.log.getByText(/Remembered/).count(), 0);
  });

  test("is heard again: from the server while it speaks, and stopped", async () => {
    await arrive(servers.speaks);
    await guest.say("Tell me about the river.");
    const asked = guest.page.waitForRequest(/voice\/stream-tts$/);
    await deed("Hear it again").click();
    await asked;
    await guest.page.locator('#voice[data-phase="aloud"]').waitFor();
    await deed("Stop").click();
    await deed("Hear it again").waitFor();
    await guest.page.locator('#voice[data-phase="off"]').waitFor({ state: "attached" });
  });

  test("that was spoken is heard from its file, after a reload too; where that has gone it is spoken anew", async () => {
    await arrive(servers.speaks);
    await guest.press("Read answers aloud");
    await guest.say("Tell me about the river.");
    await guest.page.locator('#voice[data-phase="aloud"]').waitFor();
    await guest.page.keyboard.press("Escape");
    await guest.page.locator('#voice[data-phase="off"]').waitFor({ state: "attached" });
    await guest.page.reload();
    await guest.isAnnounced();
    const file = guest.page.waitForResponse(/voice\/audio\//);
    await deed("Hear it again").click();
    assert.equal((await file).status(), 200);
    await guest.page.locator('#voice[data-phase="aloud"]').waitFor();
    await guest.page.keyboard.press("Escape");
    await guest.page.locator('#voice[data-phase="off"]').waitFor({ state: "attached" });
    await guest.page.route("**/voice/audio/*", (route) => route.fulfill({ status: 404, json: { error: "audio_not_found", message: "gone" } }));
    const made = guest.page.waitForRequest(/voice\/stream-tts$/);
    await guest.page.keyboard.press("Control+Shift+E");
    await made;
    await guest.page.locator('#voice[data-phase="aloud"]').waitFor();
    await guest.page.keyboard.press("Escape");
    guest.excuse(/status of 404/);
  });

  test("can be read by the browser where the server has no voice; where nobody has one, nothing is offered", async () => {
    await arrive(servers.plain);
    await guest.page.evaluate(() => {
      window.read = [];
      const speak = (reading) => {
        window.read.push(reading.text);
        setTimeout(() => reading.onstart?.(), 10);
        setTimeout(() => reading.onend?.(), 30);
      };
      Object.defineProperty(window, "speechSynthesis", { value: { speak, cancel: () => {} }, configurable: true });
    });
    const answer = await guest.say("I would like to talk about my garden.");
    await deed("Hear it again").click();
    await deed("Hear it again").waitFor();
    assert.equal((await guest.page.evaluate(() => window.read)).join(" "), answer);
    await guest.page.evaluate(() => Object.defineProperty(window, "speechSynthesis", { value: undefined, configurable: true }));
    await guest.say("And about the river.");
    await deed("Copy").nth(1).waitFor();
    assert.equal(await deed("Hear it again").count(), 1);
  });
});

describe("what is written and not sent", () => {
  test("is still there after a reload, and nothing else of what is said is kept in the browser", async () => {
    await arrive(servers.plain);
    await guest.say("This was sent.");
    await guest.input.fill("This was not");
    await guest.page.reload();
    await guest.isAnnounced();
    assert.equal(await guest.input.inputValue(), "This was not");
    assert.deepEqual(await stored(), [["companion.draft.*", "companion.session"], ["companion.draft"]]);
    const kept = await guest.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    assert.ok(!kept.includes("This was sent"), kept);
    await guest.input.press("Enter");
    await guest.answer(1);
    assert.deepEqual(await stored(), [["companion.session"], []]);
  });
});

describe("what was written in a tab", () => {
  const said = () => guest.log.locator(".user .words").allTextContents();

  /** It is said offline, and something else is half written. */
  async function writeInVain() {
    await arrive(servers.plain);
    await guest.say("One.");
    await guest.context.setOffline(true);
    await guest.page.getByText("This device is offline.").waitFor();
    await guest.input.fill("Sent while offline.");
    await guest.input.press("Enter");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    await guest.input.fill("Half a thought");
  }

  async function openAnother() {
    guest.page = await guest.context.newPage();
    await guest.open();
  }

  /** The browser knows of so many tabs that they are open: it notices a little later that one was closed. */
  const areOpen = (tabs) =>
    guest.until(async (tabs) => {
      const { held } = await navigator.locks.query();
      return held.filter(({ name }) => name.startsWith("companion.draft.")).length === tabs;
    }, tabs);

  test("that is closed is there, and goes, once the page is opened again", async () => {
    await writeInVain();
    await guest.page.close();
    await guest.context.setOffline(false);
    guest.page = await guest.context.newPage();
    await guest.page.goto(new URL("/livez", servers.plain.origin).href);
    await areOpen(0);
    await guest.open();
    await guest.answer(1);
    assert.deepEqual(await said(), ["One.", "Sent while offline."]);
    assert.equal(await guest.input.inputValue(), "Half a thought");
    await guest.input.fill("");
    assert.deepEqual(await stored(), [["companion.session"], []]);
    guest.excuse(GONE);
  });

  test("that is open stays there alone", async () => {
    await writeInVain();
    const { page } = guest;
    await page.route("**/api/**", (route) => route.abort("connectionreset"));
    await guest.context.setOffline(false);
    await openAnother();
    assert.deepEqual(await said(), ["One."]);
    assert.equal(await guest.input.inputValue(), "");
    await guest.say("Two.");
    await guest.page.close();
    guest.page = page;
    await page.unroute("**/api/**");
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await guest.page.waitForFunction(() => !document.querySelector("#log .kept"));
    await guest.answer(2);
    assert.equal(await guest.input.inputValue(), "Half a thought");
    await guest.page.reload();
    await guest.log.getByText("Two.").waitFor();
    assert.deepEqual(await said(), ["One.", "Two.", "Sent while offline."]);
    guest.excuse(GONE);
  });

  const isNowhere = async () => assert.ok(!(await guest.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))).includes("Mine alone."));

  /** In a tab that is closed then, while another one is open. */
  async function writeAndClose() {
    await arrive(servers.plain);
    const { page } = guest;
    await page.getByRole("textbox", { name: /^Your message/ }).fill("Mine alone.");
    await openAnother();
    await page.close();
    await areOpen(1);
  }

  test("that is closed is gone once whoever wrote it leaves", async () => {
    await writeAndClose();
    await guest.press("Your data");
    await guest.page.getByText("No other browser is you.").waitFor();
    await guest.press("Leave this browser");
    await guest.press("Leave for good");
    await guest.page.getByText("This browser is nobody now").waitFor();
    await isNowhere();
    guest.excuse(GONE);
  });

  test("that is closed is not there for somebody else", async () => {
    await writeAndClose();
    // As where the token was replaced on another device.
    await guest.context.clearCookies();
    await guest.open();
    assert.equal(await guest.input.inputValue(), "");
    await isNowhere();
    guest.excuse(GONE);
  });

  test("that is closed goes with its conversation", async () => {
    await arrive(servers.plain);
    await guest.say("Soon to be gone.");
    const { page } = guest;
    await page.route("**/api/v1/chat", (route) => route.fulfill({ status: 503, json: { error: "service_unavailable", message: "Not now." } }));
    await guest.input.fill("Mine alone.");
    await guest.input.press("Enter");
    await page.getByText("What you wrote is still here.").waitFor();
    await openAnother();
    await page.close();
    await areOpen(1);
    await guest.press("Conversations");
    await guest.press("Delete: Soon to be gone.");
    await guest.press("Delete");
    await guest.log.getByText("Soon to be gone.").waitFor({ state: "detached" });
    // What is to be deleted is, when the page is put aside.
    await guest.page.goto(new URL("/livez", servers.plain.origin).href);
    await isNowhere();
    guest.excuse(GONE);
  });
});

describe("what was sent in a conversation that one leaves, and was not answered", () => {
  const told = () => guest.page.getByRole("status").getByText("What you wrote in another conversation was not answered.");

  async function sendInVain() {
    await arrive(servers.plain);
    await guest.say("One.");
    await guest.page.route("**/api/v1/chat", (route) => route.fulfill({ status: 503, json: { error: "service_unavailable", message: "Not now." } }));
    await guest.input.fill("Important words.");
    await guest.input.press("Enter");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    assert.equal(await told().count(), 0);
    await guest.page.unroute("**/api/v1/chat");
    await guest.press("New conversation");
    await guest.log.getByText("Important words.").waitFor({ state: "detached" });
  }

  test("is told of in the others, over a reload too, and goes when one goes there", async () => {
    await sendInVain();
    await told().waitFor();
    await guest.say("Of something else.");
    await guest.page.reload();
    await told().waitFor();
    await guest.press("Go there");
    await guest.log.getByText("Important words.").waitFor();
    await guest.answer(1);
    await told().waitFor({ state: "detached" });
    assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["One.", "Important words."]);
    guest.excuse(GONE);
  });

  test("is written again where that one is gone", async () => {
    await sendInVain();
    const { sessions } = await (await guest.context.request.get(new URL("/api/v1/sessions", servers.plain.origin).href)).json();
    const left = sessions.find(({ checkpoints }) => checkpoints === 1);
    assert.equal((await guest.context.request.delete(new URL(`/api/v1/sessions/${left.id}`, servers.plain.origin).href)).status(), 204);
    await guest.press("Go there");
    await guest.page.getByText("The other conversation is gone. What you wrote in it is here again.").waitFor();
    assert.equal(await guest.input.inputValue(), "Important words.");
    assert.equal(await told().count(), 0);
    guest.excuse(GONE);
  });
});

describe("when the network drops", () => {
  test("it says so, what is written waits, and goes by itself when the network is back", async () => {
    await arrive(servers.plain);
    await guest.say("We were just talking.");
    await guest.context.setOffline(true);
    await guest.page.getByText("This device is offline.").waitFor();
    for (const words of ["Are you there?", "And now?"]) {
      await guest.input.fill(words);
      await guest.input.press("Enter");
      await guest.log.locator(".user.kept", { hasText: words }).waitFor();
    }
    await guest.context.setOffline(false);
    await guest.page.locator("#adrift").waitFor({ state: "hidden" });
    await guest.answer(2);
    await guest.answer(3);
    assert.equal(await guest.log.locator(".kept").count(), 0);
    const said = await guest.words();
    await guest.page.reload();
    await guest.log.getByText("And now?").waitFor();
    assert.deepEqual(await guest.words(), said.slice(1));
    assert.deepEqual((await guest.log.locator(".user .words").allTextContents()), ["We were just talking.", "Are you there?", "And now?"]);
    guest.excuse(GONE);
  });

  test("and the page is loaded anew meanwhile, what was sent goes once", async () => {
    await arrive(servers.plain);
    await guest.say("Yes.");
    await guest.page.getByText(/^This conversation is kept until/).waitFor();
    const said = () => guest.log.locator(".user .words").allTextContents();
    // The first one is taken, and its answer lost; the second, in the same words, does not arrive at all.
    let asked = 0;
    await guest.page.route("**/api/v1/chat", async (route) => {
      asked += 1;
      if (asked === 1) await route.fetch();
      return route.abort("connectionreset");
    });
    await guest.page.route("**/api/v1/health", (route) => route.abort("connectionreset"));
    for (const [n, words] of ["And yes.", "And yes."].entries()) {
      await guest.input.fill(words);
      await guest.input.press("Enter");
      await guest.log.locator(".user.kept").nth(n).waitFor();
    }
    await guest.page.unroute("**/api/v1/chat");
    await guest.page.unroute("**/api/v1/health");
    await guest.page.reload();
    // The one that had been taken is answered a second time before it turns out to stand above already.
    await guest.page.waitForFunction(() => !sessionStorage.getItem("companion.draft"));
    await guest.answer(2);
    for (let n = 0; n < 2; n += 1) {
      assert.deepEqual(await said(), ["Yes.", "And yes.", "And yes."]);
      assert.deepEqual((await stored())[1], []);
      await guest.page.reload();
      await guest.log.locator(".user").nth(2).waitFor();
      await guest.page.locator("#log:not([aria-busy])").waitFor();
    }
    guest.excuse(GONE);
  });

  test("a page that opens without its server begins by itself once that is there", async () => {
    guest = await Guest.arrive(browser, servers.plain);
    await guest.page.route("**/api/**", (route) => route.abort("connectionrefused"));
    await guest.page.goto(servers.plain.origin);
    await guest.page.getByText("The companion cannot be reached.").waitFor();
    await guest.input.fill("I write this meanwhile.");
    await guest.page.unroute("**/api/**");
    await guest.isAnnounced();
    assert.equal(await guest.input.inputValue(), "I write this meanwhile.");
    await guest.input.press("Enter");
    await guest.answer(1);
    guest.excuse(GONE);
  });

  test("what is sent before there is a conversation goes by itself, unless it is written on", async () => {
    guest = await Guest.arrive(browser, servers.plain);
    await guest.page.route("**/api/**", (route) => route.abort("connectionrefused"));
    await guest.page.goto(servers.plain.origin);
    await guest.page.getByText("goes by itself once it can be reached again.").waitFor();
    await guest.input.fill("Are you there?");
    await guest.input.press("Enter");
    await guest.page.unroute("**/api/**");
    await guest.answer(1);
    assert.equal((await guest.words())[1], "Are you there?");
    assert.equal(await guest.input.inputValue(), "");

    await guest.page.route("**/api/**", (route) => route.abort("connectionrefused"));
    await guest.page.reload();
    await guest.page.getByText("goes by itself once it can be reached again.").waitFor();
    await guest.input.fill("And what");
    await guest.input.press("Enter");
    await guest.input.pressSequentially(" do you");
    await guest.page.unroute("**/api/**");
    await guest.log.getByText("Are you there?").waitFor();
    await guest.isAnnounced();
    assert.equal(await guest.input.inputValue(), "And what do you");
    assert.equal(await guest.log.locator(".user").count(), 1);
    guest.excuse(GONE);
  });
});

describe("when the language model fails", () => {
  test("the page says so as long as it does, and what was written goes without being typed again", async () => {
    await arrive(servers.thinks);
    const label = guest.page.getByRole("button", { name: "not answering" });
    model.fails = true;
    await guest.input.fill("Are you there?");
    await guest.input.press("Enter");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    await label.click();
    await guest.page.locator("#mode-why:popover-open").waitFor();
    await isAccessible(guest.page);
    model.fails = false;
    model.pieces = ["Yes."];
    await guest.until(() => {
      [...document.querySelectorAll("button")].find((button) => button.textContent === "Try again")?.click();
      return document.querySelector(".assistant .words + .deeds") !== null;
    });
    await label.waitFor({ state: "hidden" });
    assert.deepEqual((await guest.words()).slice(1), ["Are you there?", "Yes."]);
    guest.excuse(/status of 50\d/);
  });
});

describe("with the keyboard alone", () => {
  test("everything is reached in the order it is read in, and the focus is always seen", async () => {
    await arrive(servers.speaks, { reducedMotion: "reduce" });
    await guest.say("Tell me about the river.");
    await deed("Copy").waitFor();
    await guest.page.evaluate(() => document.querySelector("#list").focus());
    const order = [];
    for (let n = 0; n < 14; n += 1) {
      const at = await guest.page.evaluate(() => {
        const { activeElement: here } = document;
        const { outlineStyle, outlineWidth } = getComputedStyle(here);
        const box = getComputedStyle(document.querySelector("#composer")).borderColor;
        return { name: here.id || here.getAttribute("aria-label") || here.textContent, seen: outlineStyle !== "none" && outlineWidth !== "0px", box };
      });
      order.push(at.name);
      // Where one writes, the frame around it says so.
      if (at.name === "message") assert.equal(at.box, await guest.page.evaluate(() => getComputedStyle(document.querySelector("#send")).borderColor));
      else assert.ok(at.seen, `the focus on ${at.name} is not seen`);
      if (at.name === "send") break;
      await guest.page.keyboard.press("Tab");
    }
    const ours = ["list", "mode", "new", "data", "view", "Copy", "Hear it again", "message", "aloud", "send"];
    assert.deepEqual(order.filter((name) => ours.includes(name)), ours);
  });

  test("the keys do what they are told to do", async () => {
    await arrive(servers.plain);
    await guest.say("The first one.");
    await guest.page.keyboard.press("Control+/");
    const keys = guest.page.getByRole("dialog", { name: "Keys" });
    await keys.getByText("New conversation").waitFor();
    await guest.page.keyboard.press("Escape");
    await keys.waitFor({ state: "hidden" });
    await guest.page.keyboard.press("Control+Shift+L");
    await guest.page.getByRole("dialog", { name: "Your conversations" }).waitFor();
    await guest.page.keyboard.press("Escape");
    await guest.page.keyboard.press("Control+Shift+O");
    await guest.log.getByText("The first one.").waitFor({ state: "detached" });
    // By what is printed on it, wherever it lies; where another alphabet is printed, by its place.
    const press = (key, code) => guest.page.evaluate((keys) => document.dispatchEvent(new KeyboardEvent("keydown", { ...keys, ctrlKey: true, shiftKey: true })), { key, code });
    const list = guest.page.getByRole("dialog", { name: "Your conversations" });
    for (const [key, code] of [["L", "KeyP"], ["Д", "KeyL"]]) {
      await press(key, code);
      await list.waitFor();
      await guest.page.keyboard.press("Escape");
      await list.waitFor({ state: "hidden" });
    }
  });
});

describe("the page as an app", () => {
  test("can be installed: its manifest and icons are there, and are what they say", async () => {
    await arrive(servers.plain);
    const address = await guest.page.locator("link[rel=manifest]").evaluate((link) => link.href);
    const answer = await guest.context.request.get(address);
    assert.match(answer.headers()["content-type"], /^application\/manifest\+json/);
    assert.match(answer.headers()["cache-control"], /immutable/);
    const manifest = await answer.json();
    assert.deepEqual([manifest.name, manifest.display, new URL(manifest.start_url, address).href], ["Companion", "standalone", `${servers.plain.origin}/`]);
    const home = await guest.page.locator("link[rel=apple-touch-icon]").evaluate((link) => link.href);
    const icons = [...manifest.icons, { src: home, sizes: "180x180", type: "image/png" }];
    for (const { src, sizes, type } of icons) {
      const icon = await guest.context.request.get(new URL(src, address).href);
      assert.deepEqual([icon.status(), icon.headers()["content-type"]], [200, type], src);
      const size = await guest.page.evaluate(async (address) => {
        const image = new Image();
        image.src = address;
        await image.decode();
        return `${image.naturalWidth}x${image.naturalHeight}`;
      }, new URL(src, address).href);
      if (sizes !== "any") assert.equal(size, sizes, src);
    }
    assert.ok(manifest.icons.some(({ purpose }) => purpose === "maskable"));
    // What Chromium itself misses.
    const devtools = await guest.context.newCDPSession(guest.page);
    const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
    assert.deepEqual(installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito"), []);
  });
});
