// What a person does with their conversations, in a hand and on a desk.

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
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.remove();
});
afterEach(() => guest.leave());

const list = () => guest.page.getByRole("dialog", { name: "Your conversations" });
const row = (title) => list().getByRole("listitem").filter({ hasText: title });
const act = (what, title) => list().getByRole("button", { name: `${what}: ${title}`, exact: true });

/** What the server has, by title. */
async function kept() {
  const { sessions } = await guest.page.evaluate(() => fetch("/api/v1/sessions").then((answer) => answer.json()));
  return Object.fromEntries(sessions.filter(({ checkpoints }) => checkpoints > 0).map((session) => [session.title, session]));
}

/** Has the server have another page behind each page there is at these addresses; `made` makes it, of its number, its length and the first page. */
const answersMore = (addresses, made) =>
  guest.page.route(addresses, async (route) => {
    const url = new URL(route.request().url());
    const [page, limit] = ["cursor", "limit"].map((name) => Number(url.searchParams.get(name)));
    url.searchParams.delete("cursor");
    const first = await (await route.fetch({ url: url.href })).json();
    await route.fulfill({ json: { ...first, ...(page > 0 && made(page, limit, first)), next_cursor: `${page + 1}` } });
  });

/** Says something in a conversation of its own, of which there are two then. */
async function talkTwice() {
  await guest.open();
  await guest.say("About gardens");
  await guest.press("New conversation");
  await guest.page.getByText("About gardens").waitFor({ state: "detached" });
  await guest.say("About rivers");
  await guest.page.getByText(/^This conversation is kept until/).waitFor();
}

async function openList() {
  await guest.press("Conversations");
  await list().getByRole("listitem").nth(1).waitFor();
}

describe("in the list", () => {
  beforeEach(async () => {
    guest = await Guest.arrive(browser, server);
    await talkTwice();
    await openList();
  });

  test("each says until when it is kept", async () => {
    for (const title of ["About gardens", "About rivers"]) {
      const { expires_at: until } = (await kept())[title];
      const day = new Date(until).toLocaleDateString("en-GB", { dateStyle: "long" });
      assert.match(await row(title).textContent(), new RegExp(`kept until ${day}`));
    }
  });

  test("one gets a title of one's own, with the keyboard alone", async () => {
    await act("Rename", "About gardens").focus();
    await guest.page.keyboard.press("Enter");
    await guest.page.keyboard.type("Beds and borders");
    await guest.page.keyboard.press("Enter");
    await row("Beds and borders").waitFor();
    assert.ok(await act("Rename", "Beds and borders").evaluate((button) => button === document.activeElement));
    assert.ok("Beds and borders" in (await kept()));
  });

  test("one gets its title once, also from somebody who presses twice", async () => {
    const given = [];
    guest.page.on("request", (request) => request.method() === "PATCH" && given.push(request.postDataJSON().title));
    await act("Rename", "About gardens").click();
    await guest.page.keyboard.type("Beds and borders");
    await guest.pressTwice("Rename");
    await row("Beds and borders").waitFor();
    assert.deepEqual(given, ["Beds and borders"]);
  });

  test("a title is left as it was with Escape, and the list stays", async () => {
    await act("Rename", "About gardens").click();
    await guest.page.keyboard.type("No");
    await guest.page.keyboard.press("Escape");
    await row("About gardens").waitFor();
    assert.ok(await list().isVisible());
    assert.ok("About gardens" in (await kept()));
  });

  test("one is pinned, stands first and is kept; and unpinned again", async () => {
    await act("Pin", "About gardens").click();
    await list().getByRole("heading", { name: "Pinned" }).waitFor();
    assert.match(await list().getByRole("listitem").first().textContent(), /About gardens.*kept until you delete it/);
    assert.equal((await kept())["About gardens"].expires_at, null);
    await act("Unpin", "About gardens").click();
    await list().getByRole("heading", { name: "Pinned" }).waitFor({ state: "detached" });
    assert.notEqual((await kept())["About gardens"].expires_at, null);
  });

  test("a pinned one that is open is told as such below it", async () => {
    await act("Pin", "About rivers").click();
    await list().getByRole("heading", { name: "Pinned" }).waitFor();
    await list().getByRole("button", { name: "Close" }).click();
    await guest.page.getByText("This conversation is pinned and kept until you delete it").waitFor();
  });

  test("titles are searched, and it is told how many", async () => {
    await list().getByRole("searchbox").fill("GARD");
    await list().getByText("1 found in 2 titles.").waitFor();
    assert.equal(await list().getByRole("listitem").count(), 1);
    await list().getByRole("searchbox").fill("nothing like that");
    await list().getByText("0 found in 2 titles.").waitFor();
    await isAccessible(guest.page);
    await list().getByRole("searchbox").fill("");
    await list().getByRole("listitem").nth(1).waitFor();
  });

  test("titles are found however their letters with marks were typed", async () => {
    const [composed, apart] = ["Zo\u00eb", "Zoe\u0308"];
    for (const [title, sought] of [
      [apart, composed],
      [composed, apart],
    ]) {
      await row(/About gardens|garden of/).getByRole("button", { name: /^Rename/ }).click();
      await list().getByRole("textbox", { name: "A title of your own" }).fill(`The garden of ${title}`);
      await guest.page.keyboard.press("Enter");
      await row(`The garden of ${title}`).waitFor();
      await list().getByRole("searchbox").fill(sought.toUpperCase());
      await list().getByText("1 found in 2 titles.").waitFor();
      await list().getByRole("searchbox").fill("");
      await list().getByRole("listitem").nth(1).waitFor();
    }
  });

  test("one is deleted, comes back when that is undone, and is gone when it is not", async () => {
    await act("Delete", "About gardens").click();
    await list().getByRole("button", { name: "Keep" }).click();
    await act("Delete", "About gardens").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await list().getByRole("button", { name: "Undo" }).click();
    await act("Delete", "About gardens").waitFor();
    assert.ok("About gardens" in (await kept()));
    await act("Delete", "About gardens").click();
    // The page's time stands still but for what passes below.
    await guest.page.clock.install();
    await guest.page.clock.pauseAt((await guest.page.evaluate(() => Date.now())) + 60_000);
    const gone = guest.page.waitForResponse((answer) => answer.request().method() === "DELETE");
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await guest.page.clock.fastForward(9_000);
    assert.ok("About gardens" in (await kept()), "there was no time to undo it");
    await guest.page.clock.fastForward(2_000);
    assert.match((await gone).url(), /keep_memories=false$/);
    await row("About gardens").waitFor({ state: "detached" });
    assert.deepEqual(Object.keys(await kept()), ["About rivers"]);
  });

  test("one that goes after the list was opened anew stays gone, and what was changed meanwhile stays as it is", async () => {
    await guest.page.clock.install();
    await act("Delete", "About gardens").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await list().getByRole("button", { name: "Close" }).click();
    await openList();
    await row("About gardens").getByRole("button", { name: "Undo" }).waitFor();
    await act("Rename", "About rivers").click();
    await guest.page.keyboard.type("Streams");
    await guest.page.keyboard.press("Enter");
    await row("Streams").waitFor();
    await guest.page.clock.fastForward(11_000);
    await row("About gardens").waitFor({ state: "detached" });
    await act("Pin", "Streams").click();
    await list().getByRole("heading", { name: "Pinned" }).waitFor();
    assert.equal(await list().getByRole("listitem").count(), 1);
  });

  test("a title that is being written stays while others are pinned or go, and can be given then", async () => {
    await guest.page.clock.install();
    await act("Delete", "About gardens").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await act("Rename", "About rivers").click();
    await guest.page.keyboard.type("Streams and");
    await guest.page.clock.fastForward(11_000);
    await row("About gardens").waitFor({ state: "detached" });
    await guest.page.keyboard.type(" brooks");
    await guest.page.keyboard.press("Enter");
    await row("Streams and brooks").waitFor();
    assert.deepEqual(Object.keys(await kept()), ["Streams and brooks"]);
    await list().getByRole("button", { name: "Close" }).click();
    await guest.press("New conversation");
    await guest.log.getByText("About rivers").waitFor({ state: "detached" });
    await openList();
    await act("Rename", "Streams and brooks").click();
    await guest.page.keyboard.type("Half");
    await list().getByRole("button", { name: /^Pin: Conversation of/ }).click();
    await list().getByRole("heading", { name: "Pinned" }).waitFor();
    assert.equal(await list().getByLabel("A title of your own").inputValue(), "Half");
  });

  test("deleting can be undone on the page as long as that is said, whatever is done meanwhile", async () => {
    const undo = guest.page.locator("#notice").getByRole("button", { name: "Undo" });
    await guest.page.clock.install();
    // The page's time stands still but for what passes below.
    await guest.page.clock.pauseAt((await guest.page.evaluate(() => Date.now())) + 60_000);
    await act("Delete", "About gardens").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await act("Pin", "About rivers").click();
    await list().getByRole("heading", { name: "Pinned" }).waitFor();
    await row("About rivers").getByRole("button", { name: /^Open/ }).click();
    await guest.say("And on");
    await openList();
    await list().getByRole("button", { name: "Close" }).click();
    await guest.page.clock.fastForward(5_000);
    await undo.click();
    await guest.page.clock.resume();
    await guest.log.getByText("About gardens").waitFor();
    assert.equal(await guest.page.locator("#notice").textContent(), "");
    await guest.page.clock.fastForward(11_000);
    assert.deepEqual(Object.keys(await kept()).sort(), ["About gardens", "About rivers"]);

    await openList();
    for (const title of ["About rivers", "About gardens"]) {
      await act("Delete", title).click();
      await list().getByRole("button", { name: "Delete", exact: true }).click();
    }
    await list().waitFor({ state: "hidden" });
    assert.equal(await undo.count(), 2, "one for each");
    await isAccessible(guest.page);
    await guest.page.clock.fastForward(11_000);
    await undo.first().waitFor({ state: "detached" });
    await guest.page.waitForFunction(() => document.querySelector("#notice").textContent === "");
    assert.deepEqual(Object.keys(await kept()), []);
  });

  test("who deletes by key goes on with the next one when it is gone", async () => {
    await guest.page.clock.install();
    await act("Delete", "About gardens").press("Enter");
    await list().getByRole("button", { name: "Delete", exact: true }).press("Enter");
    const undo = row("About gardens").getByRole("button", { name: "Undo" });
    assert.ok(await undo.evaluate((button) => button === document.activeElement));
    await guest.page.clock.fastForward(11_000);
    await row("About gardens").waitFor({ state: "detached" });
    const focused = await guest.page.evaluate(() => document.activeElement.closest(".conversation")?.textContent ?? "");
    assert.match(focused, /About rivers/);
  });

  test("the open one is deleted: another begins, and undoing opens it again", async () => {
    await act("Delete", "About rivers").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await list().waitFor({ state: "hidden" });
    await guest.log.getByText("About rivers").waitFor({ state: "detached" });
    await guest.page.locator("#notice").getByRole("button", { name: "Undo" }).click();
    await guest.log.getByText("About rivers").waitFor();
    assert.ok("About rivers" in (await kept()));
  });

  test("nothing more is said in the open one once it is deleted, though no other could be begun at first", async () => {
    await guest.page.route("**/api/v1/session/start", (route) => route.fulfill({ status: 503, json: { error: "unavailable", message: "Not now." } }));
    // It is not deleted for good while the page's time stands still.
    await guest.page.clock.install();
    await guest.page.clock.pauseAt((await guest.page.evaluate(() => Date.now())) + 60_000);
    await act("Delete", "About rivers").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await guest.page.locator("#notice").getByText("Not now.").waitFor();
    await guest.page.unrouteAll();
    await guest.input.fill("About lakes");
    await guest.press("Send");
    await guest.log.locator(".user").getByText("About rivers").waitFor({ state: "detached" });
    await guest.answer(1);
    assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["About lakes"]);
    assert.equal((await kept())["About rivers"].checkpoints, 1);
    guest.excuse(/status of 503/);
  });

  test("the open one is there again when that is undone before another has begun", async () => {
    const go = await guest.holdBack("**/api/v1/session/start");
    await act("Delete", "About rivers").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await guest.page.locator("#notice").getByRole("button", { name: "Undo" }).click();
    const begun = guest.page.waitForResponse("**/api/v1/session/start");
    go();
    await (await begun).finished();
    await guest.say("And on");
    assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["About rivers", "And on"]);
    // What is said in it elsewhere is shown as before.
    const { id } = (await kept())["About rivers"];
    await guest.page.evaluate(async (id) => {
      const body = JSON.stringify({ session_id: id, message: "And elsewhere" });
      await fetch("/api/v1/chat", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      dispatchEvent(new Event("focus"));
    }, id);
    await guest.log.locator(".user").getByText("And elsewhere").waitFor();
  });

  test("the one chosen last is shown, though the one before it comes later", async () => {
    await list().getByRole("button", { name: "Close" }).click();
    await guest.press("New conversation");
    await guest.log.getByText("About rivers").waitFor({ state: "detached" });
    const { id } = (await kept())["About gardens"];
    const go = await guest.holdBack(`**/api/v1/sessions/${id}?*`);
    for (const title of ["About gardens", "About rivers"]) {
      await openList();
      await row(title).getByRole("button", { name: /^Open/ }).click();
    }
    await guest.log.getByText("About rivers").waitFor();
    const late = guest.page.waitForResponse(`**/api/v1/sessions/${id}?*`);
    go();
    await (await late).finished();
    await guest.say("And on");
    assert.deepEqual(await guest.log.locator(".user .words").allTextContents(), ["About rivers", "And on"]);
  });

  test("closing the page carries out what was not undone", async () => {
    await act("Delete", "About gardens").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await list().getByRole("button", { name: "Undo" }).waitFor();
    const closed = guest.page.waitForEvent("close");
    await guest.page.close({ runBeforeUnload: true });
    await closed;
    guest.page = await guest.context.newPage();
    await guest.page.goto(server.origin);
    await guest.until(async () => {
      const { sessions } = await fetch("/api/v1/sessions").then((answer) => answer.json());
      return sessions.every(({ title }) => title !== "About gardens");
    });
  });
});

describe("the list", () => {
  test("is shown page by page, and the focus goes on with the page that has come", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.page.evaluate(async () => {
      for (let n = 0; n < 31; n += 1) await fetch("/api/v1/session/start", { method: "POST" });
    });
    await guest.press("Conversations");
    await list().getByRole("listitem").nth(29).waitFor();
    assert.equal(await list().getByRole("listitem").count(), 30);
    await isAccessible(guest.page);
    await list().getByRole("button", { name: "Show more" }).focus();
    await guest.page.keyboard.press("Enter");
    await list().getByRole("listitem").nth(31).waitFor();
    const first = list().getByRole("listitem").nth(30).getByRole("button", { name: /^Open/ });
    assert.ok(await first.evaluate((button) => button === document.activeElement));
  });

  test("shows each once, also to somebody who presses twice", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.page.evaluate(async () => {
      for (let n = 0; n < 31; n += 1) await fetch("/api/v1/session/start", { method: "POST" });
    });
    await guest.press("Conversations");
    await list().getByRole("listitem").nth(29).waitFor();
    await guest.pressTwice("Show more");
    await list().getByRole("listitem").nth(31).waitFor();
    // Whatever else was asked for is there after this.
    await kept();
    assert.equal(await list().getByRole("listitem").count(), 32);
  });

  test("says of each that it is kept, where none is deleted by itself", async () => {
    const keeps = await Server.start({ SESSION_RETENTION_DAYS: "off", PERSON_RETENTION_DAYS: "off" });
    try {
      guest = await Guest.arrive(browser, keeps);
      await guest.page.goto(keeps.origin);
      await guest.page.getByText("Conversations are kept until you delete them.").waitFor();
      await guest.say("For good");
      await guest.press("Conversations");
      await row("For good").getByText(/kept until you delete it$/).waitFor();
    } finally {
      await keeps.remove();
    }
  });

  test("says of each how long it is kept where it goes with whoever stays away, of pinned ones too", async () => {
    const forgets = await Server.start({ SESSION_RETENTION_DAYS: "off", PERSON_RETENTION_DAYS: "30" });
    try {
      guest = await Guest.arrive(browser, forgets);
      await guest.page.goto(forgets.origin);
      const rule = "Conversations are kept until you delete them or have not been here for 30 days. People not seen for 30 days are forgotten.";
      await guest.page.getByText(rule, { exact: true }).waitFor();
      await guest.say("For a month");
      const { expires_at: until, last_active_at: active } = (await kept())["For a month"];
      assert.equal(Date.parse(until) - Date.parse(active), 30 * 86_400_000);
      await guest.press("Conversations");
      const day = new Date(until).toLocaleDateString("en-GB", { dateStyle: "long" });
      await row("For a month").getByText(`kept until ${day}`).waitFor();
      await act("Pin", "For a month").click();
      await row("For a month").getByText(/kept until you delete it or have not been here for 30 days$/).waitFor();
    } finally {
      await forgets.remove();
    }
  });
});

describe("what was learned", () => {
  for (const [forgets, left] of [[true, 0], [false, 1]]) {
    test(`in a conversation ${forgets ? "goes with it" : "stays when that is wanted"}`, async () => {
      guest = await Guest.arrive(browser, server);
      await guest.open();
      await guest.say("My sister is called Anna.");
      const memories = () => guest.page.evaluate(() => fetch("/api/v1/memories").then((answer) => answer.json()).then((all) => all.memories.length));
      await guest.until(() => fetch("/api/v1/memories").then((answer) => answer.json()).then((all) => all.memories.length > 0));
      await guest.press("Conversations");
      await list().getByRole("button", { name: /^Delete:/ }).click();
      if (!forgets) await list().getByText("Forget what I learned from it, too").click();
      const gone = guest.page.waitForResponse((answer) => answer.request().method() === "DELETE");
      await list().getByRole("button", { name: "Delete", exact: true }).click();
      await list().waitFor({ state: "hidden" });
      // Leaving the page does not wait, nor does putting it aside.
      await guest.page.evaluate((leaves) => {
        if (leaves) return dispatchEvent(new PageTransitionEvent("pagehide"));
        Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
        return document.dispatchEvent(new Event("visibilitychange"));
      }, forgets);
      assert.equal((await gone).status(), 204);
      assert.equal(await memories(), left);
    });
  }
});

describe("what is deleted as the page goes while the server cannot be reached", () => {
  const told = () => guest.page.locator("#notice").getByText(/^Still here, because it could not be deleted: “About gardens”\./);

  beforeEach(async () => {
    guest = await Guest.arrive(browser, server);
    await talkTwice();
    await openList();
    await act("Delete", "About gardens").click();
    await list().getByRole("button", { name: "Delete", exact: true }).click();
    await list().getByText("is deleted.").waitFor();
  });

  test("is still there: the next page says so, and deletes it when that is still wanted", async () => {
    await guest.goesWhileItIsAway();
    await told().waitFor();
    await isAccessible(guest.page);
    const another = await guest.anotherTab();
    await another.page.goto(server.origin);
    await another.page.locator("#notice").getByText("“About gardens”").waitFor();
    await guest.press("Delete now");
    await told().waitFor({ state: "detached" });
    await another.page.locator("#notice").getByText("“About gardens”").waitFor({ state: "detached" });
    assert.deepEqual(Object.keys(await kept()), ["About rivers"]);
    assert.equal(await guest.page.evaluate(() => localStorage.getItem("companion.owed")), null);
  });

  test("stays where it was put aside first, as a phone does with a page, and is to be kept after all", async () => {
    await guest.goesWhileItIsAway(true);
    await told().waitFor();
    await guest.press("Keep");
    await told().waitFor({ state: "detached" });
    await guest.page.reload();
    await guest.isAnnounced();
    assert.equal(await told().count(), 0);
    assert.deepEqual(Object.keys(await kept()).sort(), ["About gardens", "About rivers"]);
  });
});

describe("do not remember this one", () => {
  test("begins one that is not remembered, says so, and when it goes", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.press("Do not remember this one");
    await guest.page.getByText("This conversation is not remembered and is deleted once nothing has been said in it for a day; other").waitFor();
    await guest.say("My sister is called Berta.");
    await guest.page.getByText(/^This conversation is not remembered and is deleted after \d+ \w+ \d{4}/).waitFor();
    assert.equal(await guest.page.getByRole("button", { name: "Do not remember this one" }).isVisible(), false);
    // What was begun before it, and never used, is not left lying about.
    await guest.until(async () => {
      const { sessions } = await fetch("/api/v1/sessions").then((answer) => answer.json());
      return sessions.length === 1 && !sessions[0].remembered;
    });
    await guest.page.reload();
    await guest.page.getByRole("button", { name: "not remembered", exact: true }).waitFor();
    await guest.press("Conversations");
    assert.match(await list().getByRole("listitem").first().textContent(), /not remembered.*kept until \d+ \w+ \d{4} at \d/);
    await isAccessible(guest.page);
  });

  test("can be thought better of, until something is said", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.press("Do not remember this one");
    await guest.page.getByRole("button", { name: "not remembered", exact: true }).waitFor();
    await guest.press("Do not remember this one");
    await guest.page.getByRole("button", { name: "not remembered", exact: true }).waitFor({ state: "hidden" });
    await guest.isAnnounced();
    // The label goes first, the conversation it belonged to right after it.
    await guest.until(async () => {
      const { sessions } = await fetch("/api/v1/sessions").then((answer) => answer.json());
      return sessions.length === 1 && sessions[0].remembered;
    });
  });
});

describe("words in a conversation", () => {
  test("are found, in parts of it that were not on the page, too", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.page.evaluate(async () => {
      const session_id = localStorage.getItem("companion.session");
      for (let n = 1; n <= 120; n += 1) {
        const message = n === 2 ? "The heron stood by the water." : n === 119 ? "Another heron came." : `Number ${n}.`;
        const answer = await fetch("/api/v1/chat", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ session_id, message }) });
        if (!answer.ok) throw new Error(await answer.text());
      }
    });
    await guest.page.reload();
    await guest.log.getByText("Number 120.").waitFor();
    assert.equal(await guest.log.getByText("The heron stood by the water.").count(), 0);
    await guest.page.keyboard.press("Control+Shift+F");
    await guest.page.keyboard.insertText("HERON");
    await guest.page.locator("#find").getByText(/^\d+ of \d+$/).waitFor();
    const marked = () => guest.page.evaluate(() => [...CSS.highlights.get("found-now")][0].startContainer.data);
    const told = await guest.page.locator("#find p").textContent();
    const [at, all] = told.match(/\d+/g).map(Number);
    assert.equal(at, all, "one begins with the last");
    const seen = new Set();
    for (let n = 0; n < all; n += 1) {
      seen.add(await marked());
      await guest.page.keyboard.press("Enter");
    }
    assert.ok(seen.has("The heron stood by the water.") && seen.has("Another heron came."), [...seen].join("\n"));
    await guest.page.getByRole("searchbox", { name: /Words to find/ }).fill("flamingo");
    await guest.page.locator("#find").getByText("Not found", { exact: true }).waitFor();
    await guest.page.keyboard.press("Escape");
    assert.equal(await guest.page.locator("#find").isVisible(), false);
    assert.ok(await guest.input.evaluate((input) => input === document.activeElement));
    assert.equal(await guest.page.evaluate(() => CSS.highlights.has("found")), false);
  });

  test("are found where they stand in a long message, and brought into sight", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.say(`A needle. ${"Word after word goes on and on. ".repeat(150)}Another needle.`);
    await guest.page.getByText(/^This conversation is kept until/).waitFor();
    await guest.page.keyboard.press("Control+Shift+F");
    await guest.page.keyboard.insertText("needle");
    await guest.page.locator("#find").getByText(/^\d+ of \d+$/).waitFor();
    /** Which of the two of them is marked, and whether all of it can be seen. */
    const marked = () => guest.page.evaluate(() => {
      const [range] = CSS.highlights.get("found-now");
      const [found, seen] = [range.getBoundingClientRect(), document.querySelector("main").getBoundingClientRect()];
      const isSeen = found.height > 0 && found.top >= Math.max(0, seen.top) && found.bottom <= Math.min(innerHeight, seen.bottom);
      const isMine = range.startContainer.parentElement.closest(".user") !== null;
      return { isMine, isFirst: range.startOffset < 10, isSeen };
    });
    const all = Number((await guest.page.locator("#find p").textContent()).match(/\d+$/)[0]);
    const mine = [];
    for (let n = 0; n < all; n += 1) {
      const { isMine, isFirst, isSeen } = await marked();
      assert.ok(isSeen, `number ${all - n} of ${all} is out of sight`);
      if (isMine) mine.push(isFirst);
      await guest.page.keyboard.press("Enter");
    }
    assert.deepEqual(mine, [false, true], "the last one comes first");
  });

  test("are looked for until Escape, wherever one is by then, but for what is open above it", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.say("The lake.");
    const search = guest.page.locator("#find");
    await guest.page.keyboard.press("Control+Shift+F");
    await guest.page.keyboard.insertText("lake");
    await search.getByText(/^\d+ of \d+$/).waitFor();
    await guest.press("Memories");
    await guest.page.getByRole("dialog").waitFor();
    await guest.page.keyboard.press("Escape");
    await guest.page.getByRole("dialog").waitFor({ state: "hidden" });
    assert.ok(await search.isVisible(), "only the dialog is closed");
    await guest.input.focus();
    await guest.page.keyboard.press("Escape");
    await search.waitFor({ state: "hidden" });
    assert.equal(await guest.page.evaluate(() => CSS.highlights.has("found")), false);
    assert.ok(await guest.input.evaluate((input) => input === document.activeElement));
  });

  test("are found however their letters with marks were typed", async () => {
    const [composed, apart] = ["Zo\u00eb", "Zoe\u0308"];
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.say(`First ${composed} came.`);
    await guest.say(`Then ${apart} left.`);
    await guest.page.keyboard.press("Control+Shift+F");
    const count = () => guest.page.locator("#find p").textContent();
    const box = guest.page.getByRole("searchbox", { name: /Words to find/ });
    const all = new Set();
    for (const sought of [composed, apart]) {
      await box.fill("flamingo");
      await guest.page.locator("#find").getByText("Not found", { exact: true }).waitFor();
      await box.fill(sought);
      await guest.page.locator("#find").getByText(/^\d+ of \d+$/).waitFor();
      all.add(await count());
      const marked = await guest.page.evaluate(() => [...CSS.highlights.get("found")].map((range) => range.startContainer.data));
      for (const said of [`First ${composed} came.`, `Then ${apart} left.`]) assert.ok(marked.includes(said), marked.join("\n"));
    }
    assert.equal(all.size, 1, "the same places");
  });

  test("are looked for in the latest 2000 messages of a longer conversation, and it says so", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.say("The heron came last.");
    await answersMore(/\/api\/v1\/sessions\/[^/?]+\?/, (page, limit, { messages: [one] }) => ({
      messages: Array.from({ length: limit }, (_, n) => ({ ...one, text: `Number ${n} of page ${page}.` })),
    }));
    await guest.page.reload();
    await guest.log.getByText("The heron came last.").first().waitFor();
    await guest.page.keyboard.press("Control+Shift+F");
    await guest.page.keyboard.insertText("number 7 of page 20.");
    await guest.page.locator("#find").getByText("1 of 1 in the last 2002 messages").waitFor();
    await guest.page.getByRole("searchbox", { name: /Words to find/ }).fill("number 7 of page 21.");
    await guest.page.locator("#find").getByText("Not found in the last 2002 messages").waitFor();
  });

  test("are looked for as far back as can be reached, and it says how far that is", async () => {
    guest = await Guest.arrive(browser, server);
    await guest.open();
    await guest.say("The heron came last.");
    await guest.page.route(/\/api\/v1\/sessions\/[^/?]+\?/, async (route) => {
      if (route.request().url().includes("cursor=")) return route.fulfill({ status: 503, json: { error: "unavailable", message: "Not now." } });
      const answer = await route.fetch();
      return route.fulfill({ json: { ...(await answer.json()), next_cursor: "more" } });
    });
    await guest.page.reload();
    await guest.log.locator(".user").getByText("The heron came last.").waitFor();
    await guest.page.keyboard.press("Control+Shift+F");
    await guest.page.keyboard.insertText("flamingo");
    await guest.page.locator("#find").getByText("Not found in the last 2 messages").waitFor();
    await isAccessible(guest.page);
    guest.excuse(/status of 503/);
  });
});

test("of more than 2000 titles the latest are searched, and it says so", async () => {
  guest = await Guest.arrive(browser, server);
  await guest.open();
  await guest.say("About gardens");
  await answersMore(/\/api\/v1\/sessions\?/, (page, limit, { sessions: [one] }) => ({
    sessions: Array.from({ length: limit }, (_, n) => ({ ...one, id: `${page}-${n}`, title: `Number ${n} of page ${page}.` })),
  }));
  await guest.press("Conversations");
  await list().getByRole("searchbox").fill("number 7 of page 20.");
  await list().getByText("1 found in 2001 titles, the latest.").waitFor();
  await list().getByRole("searchbox").fill("number 7 of page 21.");
  await list().getByText("0 found in 2001 titles, the latest.").waitFor();
});
