// Several tabs of one browser: what is said in one is seen in the others, and what is deleted in one is gone in all.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

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
  await guest.open();
});
afterEach(async () => {
  try {
    await guest.leave();
  } finally {
    await server.remove();
  }
});

async function anotherTab() {
  const tab = await guest.anotherTab();
  await tab.open();
  return tab;
}

/** Headless tabs do not tell that they get the focus. */
const look = ({ page }) => page.evaluate(() => dispatchEvent(new Event("focus")));

/** What is kept of anything written, in this tab or beyond it. */
const written = ({ page }) =>
  page.evaluate(() => [...Object.entries({ ...sessionStorage }), ...Object.entries({ ...localStorage }).filter(([name]) => name.startsWith("companion.draft"))]);

const said = ({ log }) => log.locator(".user .words").allTextContents();

const session = () => guest.page.evaluate(() => localStorage.getItem("companion.session"));

/** So many turns, taken without the page. */
const talk = (id, count) =>
  guest.page.evaluate(async ([session_id, many]) => {
    for (let n = 1; n <= many; n += 1) {
      const body = JSON.stringify({ session_id, message: `Elsewhere, number ${n}.` });
      const answer = await fetch("/api/v1/chat", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      if (!answer.ok) throw new Error(await answer.text());
    }
  }, [id, count]);

describe("whoever leaves in one tab", () => {
  const data = () => guest.page.getByRole("dialog", { name: "Your data" });

  async function openData() {
    await guest.press("Your data");
    await data().getByText("No other browser is you.").waitFor();
  }

  async function makeCode() {
    await openData();
    await guest.press("Make a recovery code");
    const field = data().getByRole("textbox", { name: /^Keep it/ });
    await field.waitFor();
    const code = await field.inputValue();
    await data().getByRole("button", { name: "Close" }).click();
    return code;
  }

  /** Leaves for good. */
  async function leave() {
    await openData();
    await guest.press("Leave this browser");
    await guest.press("Leave for good");
    await guest.page.getByText("This browser is nobody now").waitFor();
  }

  /** Erases everything; the dialog that says so stays open. */
  async function erase() {
    await openData();
    await data().getByRole("textbox", { name: /type erase/ }).fill("erase");
    await guest.press("Erase everything");
    await data().getByText("Everything kept about you was erased.").waitFor();
  }

  /** Becomes somebody else, who has this code. */
  async function become(code) {
    await guest.page.goto(new URL("/link", server.origin).href);
    await guest.page.getByLabel("Recovery code").fill(code);
    await guest.page.getByRole("button", { name: "Go on", exact: true }).click();
    await guest.press("Leave them behind");
    await guest.page.waitForURL(new URL("/", server.origin).href);
    guest.excuse(/status of 409/);
  }

  for (const [what, go] of [
    ["leaves", () => leave],
    ["is erased", () => erase],
    ["becomes somebody else", async () => {
      const code = await makeCode();
      await leave();
      await guest.page.goto(server.origin);
      await guest.isAnnounced();
      return () => become(code);
    }],
  ]) {
    test(`and ${what} has left the others, too: nothing they wrote is there for whoever comes next`, async () => {
      const ends = await go();
      await guest.say("Before I left.");
      const [open, asleep] = [await anotherTab(), await anotherTab()];
      for (const tab of [open, asleep]) await tab.input.fill("Mine alone.");
      // One that hears of nothing until it is opened again.
      await asleep.page.goto(new URL("/livez", server.origin).href);
      await ends();
      await open.page.getByText("Whoever was here has left in another tab.").waitFor();
      assert.deepEqual(await written(open), []);
      assert.equal(await open.page.getByText("Before I left.").count(), 0);
      await open.page.getByRole("link", { name: "Go to the conversation" }).click();
      await asleep.page.goto(server.origin);
      for (const tab of [open, asleep]) {
        await tab.page.waitForURL(new URL("/", server.origin).href);
        await tab.isAnnounced();
        assert.equal(await tab.input.inputValue(), "");
      }
      guest.excuse(/status of 40[14]/);
    });
  }
});

test("a page that is gone back to after whoever was on it has left shows nothing of theirs", async () => {
  await guest.say("Before I left.");
  await guest.input.fill("Mine alone.");
  // As a browser wakes a page that it had kept aside, and that has heard nothing meanwhile.
  await guest.page.evaluate(() => {
    localStorage.setItem("companion.left", "meanwhile");
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
  });
  await guest.page.getByText("Whoever was here has left in another tab.").waitFor();
  assert.deepEqual(await written(guest), []);
});

describe("erasing everything", () => {
  test("while an answer is on its way says nothing of it again, as nobody and as somebody new", async () => {
    await guest.say("Before.");
    const go = await guest.holdBack("**/api/v1/chat");
    await guest.input.fill("Still on its way.");
    await guest.input.press("Enter");
    await guest.log.getByText("Still on its way.").waitFor();
    const begun = [];
    guest.page.on("request", (request) => request.url().endsWith("/session/start") && begun.push(request.url()));
    await guest.press("Your data");
    const data = guest.page.getByRole("dialog", { name: "Your data" });
    await data.getByRole("textbox", { name: /type erase/ }).fill("erase");
    await guest.press("Erase everything");
    await data.getByText("Everything kept about you was erased.").waitFor();
    const answered = guest.page.waitForResponse("**/api/v1/chat");
    go();
    await answered;
    await guest.page.waitForTimeout(500);
    assert.deepEqual(begun, []);
    assert.equal(await guest.page.getByText("Still on its way.").count(), 0);
    assert.deepEqual(await written(guest), []);
    await data.getByRole("button", { name: "Close" }).click();
    await guest.isAnnounced();
    assert.deepEqual(await said(guest), []);
    guest.excuse(/status of 40[14]/);
  });
});

describe("a conversation in two tabs", () => {
  test("shows in each what was said in the other, and leaves what is being written", async () => {
    await guest.say("Said in the first.");
    const other = await anotherTab();
    await guest.input.fill("Half a thought");
    await guest.input.evaluate((input) => input.setSelectionRange(5, 6));
    const answer = await other.say("Said in the second.");
    await look(guest);
    await guest.log.getByText("Said in the second.").waitFor();
    assert.deepEqual(await said(guest), ["Said in the first.", "Said in the second."]);
    assert.equal((await guest.words()).at(-1), answer);
    const box = await guest.input.evaluate((input) => [input.value, input.selectionStart, input.selectionEnd, input === document.activeElement]);
    assert.deepEqual(box, ["Half a thought", 5, 6, true]);
    await guest.input.press("Enter");
    await guest.answer(3);
    await look(other);
    await other.log.getByText("Half a thought").waitFor();
    assert.deepEqual(await other.words(), (await guest.words()).slice(1), "the greeting is the first tab's");
  });

  test("marks what is looked for also where it was said in another tab", async () => {
    await guest.say("The lake was calm.");
    const other = await anotherTab();
    // One that is not in front is drawn seldom, and waited for.
    await guest.page.bringToFront();
    await guest.page.keyboard.press("Control+Shift+F");
    await guest.page.getByRole("searchbox", { name: /Words to find/ }).fill("lake was");
    await guest.page.locator("#find").getByText("1 of 1").waitFor();
    await other.say("Then the lake was wild.");
    await guest.page.clock.install();
    await look(guest);
    await guest.page.clock.fastForward(5000);
    await guest.page.locator("#find").getByText("1 of 2").waitFor();
    const marked = await guest.page.evaluate(() => [...CSS.highlights.get("found")].map(({ startContainer }) => startContainer.data));
    assert.deepEqual(marked, ["The lake was calm.", "Then the lake was wild."]);
  });

  test("is in order again where both have spoken without seeing the other", async () => {
    const other = await anotherTab();
    await guest.say("One.");
    await other.say("Two.");
    for (const tab of [guest, other]) {
      await look(tab);
      await tab.page.waitForFunction(() => document.querySelectorAll("#log .user").length === 2);
      assert.deepEqual(await said(tab), ["One.", "Two."]);
    }
  });

  test("leaves whoever has scrolled up where they read", async () => {
    await talk(await session(), 60);
    await guest.page.reload();
    await guest.log.getByText("Elsewhere, number 60.").waitFor();
    await guest.press("Show earlier");
    await guest.log.getByText("Elsewhere, number 1.").waitFor({ state: "attached" });
    await guest.say("Said here.");
    await guest.page.locator("#view").hover();
    await guest.page.mouse.wheel(0, -700);
    const place = () => guest.page.locator("#view").evaluate(({ scrollTop, scrollHeight, clientHeight }) => [scrollTop, scrollHeight - clientHeight - scrollTop]);
    await guest.page.waitForFunction(() => document.querySelector("#view").scrollHeight - document.querySelector("#view").clientHeight - document.querySelector("#view").scrollTop >= 700);
    const [before] = await place();
    await talk(await session(), 1);
    await look(guest);
    await guest.page.waitForFunction(() => document.querySelectorAll("#log .user").length === 62);
    await guest.log.locator(".assistant").last().locator(".copy").waitFor({ state: "attached" });
    const [now, left] = await place();
    assert.ok(Math.abs(now - before) < 2, `${before} ${now}`);
    assert.ok(left > 700);
  });

  test("shows the last page anew where more than a hundred turns were taken in the other", async () => {
    await talk(await session(), 101);
    await guest.page.clock.install();
    await look(guest);
    await guest.page.clock.fastForward(5000);
    await guest.log.locator(".user").getByText("Elsewhere, number 101.").waitFor();
    assert.equal((await said(guest)).length, 50);
    await guest.page.getByRole("button", { name: "Show earlier" }).waitFor();
    await talk(await session(), 1);
    await look(guest);
    await guest.page.clock.fastForward(5000);
    await guest.page.waitForFunction(() => document.querySelectorAll("#log .user").length === 51);
  });

  test("shows once what the server could not confirm, and is not asked about more often than every few seconds", async () => {
    await guest.page.route("**/api/v1/sessions/*", (route) => route.abort());
    const unconfirmed = guest.page.waitForEvent("requestfailed");
    const answer = await guest.say("Only once.");
    await unconfirmed;
    await guest.page.unrouteAll();
    const asked = [];
    guest.page.on("request", (request) => request.url().includes("/api/v1/sessions/") && asked.push(request.url()));
    const began = performance.now();
    for (let times = 0; times < 5; times += 1) await look(guest);
    await guest.page.locator("#log .said-here").first().waitFor({ state: "detached" });
    for (let times = 0; times < 5; times += 1) await look(guest);
    assert.deepEqual(await guest.words(), [(await guest.words())[0], "Only once.", answer]);
    const most = 2 + Math.floor((performance.now() - began) / 5000);
    assert.ok(asked.length <= most, asked.join("\n"));
    guest.excuse(/ERR_FAILED/);
  });

  test("stays with what was said in the other where one goes on in one that is not remembered", async () => {
    const other = await anotherTab();
    await other.say("Said in the second.");
    const left = await session();
    const looked = guest.page.waitForResponse((answer) => answer.url().includes(left));
    await guest.press("Do not remember this one");
    await looked;
    await guest.say("Said in the first.");
    const { sessions } = await guest.page.evaluate(() => fetch("/api/v1/sessions").then((answer) => answer.json()));
    assert.deepEqual(sessions.map(({ title, remembered }) => [title, remembered]), [["Said in the first.", false], ["Said in the second.", true]]);
  });

  test("that is deleted takes along what was sent in it and has not arrived, in every tab", async () => {
    await guest.say("Soon to be gone.");
    const [open, asleep] = [await anotherTab(), await anotherTab()];
    const tabs = [guest, open, asleep];
    for (const tab of tabs) {
      // One that is not in front is drawn seldom, and waited for.
      await tab.page.bringToFront();
      await tab.page.route("**/api/v1/chat", (route) => route.fulfill({ status: 503, json: { error: "unavailable", message: "Not now." } }));
      await tab.input.fill("Sent, and not arrived.");
      await tab.input.press("Enter");
      await tab.page.getByText("What you wrote is still here.").waitFor();
    }
    await open.input.fill("Half a thought");
    // One that hears of nothing until it is opened again.
    await asleep.page.goto(new URL("/livez", server.origin).href);
    await guest.page.bringToFront();
    await guest.page.clock.install();
    await guest.press("Conversations");
    await guest.press("Delete: Soon to be gone.");
    await guest.press("Delete");
    await guest.log.getByText("Soon to be gone.").waitFor({ state: "detached" });
    const gone = guest.page.waitForResponse((answer) => answer.request().method() === "DELETE");
    await guest.page.clock.fastForward(11_000);
    assert.equal((await gone).status(), 204);
    await open.log.getByText("The old conversation is deleted. This is a new one.").waitFor();
    assert.equal(await open.input.inputValue(), "Half a thought");
    await asleep.open();
    assert.equal(await asleep.input.inputValue(), "");
    await guest.page.waitForFunction(() => document.querySelector("#notice").textContent === "");
    for (const tab of tabs) {
      assert.ok(!(await tab.page.content()).includes("Sent, and not arrived."));
      assert.ok(!JSON.stringify(await written(tab)).includes("not arrived"));
    }
    guest.excuse(/status of (503|40[14])/);
  });

  test("that was deleted in another tab is followed by a new one, and what is being written stays", async () => {
    await guest.say("Soon to be gone.");
    await guest.input.fill("Half a thought");
    assert.equal((await guest.context.request.delete(new URL(`/api/v1/sessions/${await session()}`, server.origin).href)).status(), 204);
    await look(guest);
    await guest.log.getByText("The old conversation has expired or was deleted.").waitFor();
    assert.equal(await guest.input.inputValue(), "Half a thought");
    assert.deepEqual(await said(guest), []);
    await guest.press("Send");
    await guest.answer(1);
    assert.deepEqual(await said(guest), ["Half a thought"]);
    guest.excuse(/status of 404/);
  });
});
