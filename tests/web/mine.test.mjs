// Being the same person in another browser, the way back, and leaving: real browsers against the real server.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { Server } from "./server.mjs";

const PHONE = { viewport: { width: 320, height: 640 }, hasTouch: true };
const NOBODY = /status of 40[14]/;
const NAMED = "companion.example";
const LOST = /ERR_CONNECTION_RESET|status of 401/;

let browser;
let server;
let guests;

before(async () => {
  browser = await launch([`--host-resolver-rules=MAP ${NAMED} 127.0.0.1`]);
});
after(() => browser?.close());

beforeEach(async () => {
  server = await Server.start();
  guests = [];
});
afterEach(async () => {
  try {
    for (const guest of guests) await guest.leave();
  } finally {
    await server.remove();
  }
});

async function arrive(options) {
  const guest = await Guest.arrive(browser, server, options);
  guests.push(guest);
  return guest;
}

/** Somebody who has said this. */
async function somebody(said, options) {
  const guest = await arrive(options);
  await guest.open();
  await guest.say(said);
  return guest;
}

const dialog = (guest) => guest.page.getByRole("dialog", { name: "Your data" });

async function makeLink(guest) {
  await guest.press("Your data");
  await guest.press("Show a link");
  await dialog(guest).getByRole("img", { name: "The link as a QR code" }).waitFor();
  return dialog(guest).getByRole("textbox", { name: /open the link/ }).inputValue();
}

/** What a camera sees of the code: a row of modules a line, dark ones as #. */
async function photographed(guest) {
  const code = dialog(guest).getByRole("img", { name: "The link as a QR code" });
  const [, , width] = (await code.getAttribute("viewBox")).split(" ").map(Number);
  const picture = (await code.screenshot()).toString("base64");
  return guest.page.evaluate(async ([picture, width]) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const { data } = canvas.getImageData(0, 0, image.width, image.height);
    const middle = (module, pixels) => Math.floor(((module + 0.5) * pixels) / width);
    const at = (x, y) => {
      const [red, green, blue] = data.subarray(4 * (middle(y, image.height) * image.width + middle(x, image.width)));
      return red + green + blue < 384 ? "#" : ".";
    };
    return Array.from({ length: width }, (_, y) => Array.from({ length: width }, (_, x) => at(x, y)).join(""));
  }, [picture, width]);
}

/** The modules in the server's drawing, which are told as runs. */
function modules(drawn) {
  const width = Number(/viewBox="0 0 (\d+)/.exec(drawn)[1]);
  const rows = Array.from({ length: width }, () => Array(width).fill("."));
  for (const [, x, y, long] of drawn.matchAll(/M(\d+) (\d+)h(\d+)v1h/g)) rows[y].fill("#", Number(x), Number(x) + Number(long));
  return rows.map((row) => row.join(""));
}

async function makeCode(guest) {
  await guest.press("Your data");
  await dialog(guest).getByText("You have none.").waitFor();
  await guest.press("Make a recovery code");
  const field = dialog(guest).getByRole("textbox", { name: /^Keep it/ });
  await field.waitFor();
  return field.inputValue();
}

/** From now on the server replaces the token, and its answer does not arrive. */
async function loseAnswers(guest) {
  await guest.page.route("**/me/rotate", async (route) => {
    const asked = route.request();
    // Not as the browser: that would be given the cookie.
    await fetch(asked.url(), { method: "POST", headers: await asked.allHeaders(), body: asked.postData() });
    return route.abort("connectionreset");
  });
}

/** Deletes the conversation of this title, which could still be undone, and leaves. */
async function deleteAndLeave(guest, title) {
  await guest.press("Conversations");
  await guest.page.getByRole("button", { name: `Delete: ${title}` }).click();
  await guest.page.getByRole("dialog", { name: "Conversations" }).getByRole("button", { name: "Delete", exact: true }).click();
  await guest.page.locator("#notice").getByRole("button", { name: "Undo" }).waitFor();
  await guest.press("Your data");
  await guest.press("Leave this browser");
  await guest.press("Leave for good");
}

async function isAtHome(guest) {
  await guest.page.waitForURL(new URL("/", server.origin).href);
  await guest.isAnnounced();
}

async function enter(guest, code) {
  await guest.page.getByLabel("Recovery code").fill(code);
  await guest.page.getByRole("button", { name: "Go on", exact: true }).click();
}

describe("another device", () => {
  test("becomes the same person by a link, which works once", async () => {
    const desktop = await somebody("We talked about gardens.");
    const link = await makeLink(desktop);
    await dialog(desktop).getByText(/^It works once, for another (10:00|9:\d\d)\.$/).waitFor();
    const asked = [];
    const phone = await arrive(PHONE);
    phone.page.on("request", (request) => asked.push(request.url()));
    await phone.page.goto(link);
    await phone.press("Be the same person here");
    await isAtHome(phone);
    await phone.log.getByText("We talked about gardens.").waitFor();
    const secret = link.split("#")[1];
    assert.ok(asked.length > 3 && asked.every((url) => url === link || !url.includes(secret)), "it is sent in no address");
    assert.equal(await phone.page.evaluate(() => location.hash), "");
    await dialog(desktop).getByText("Done: one more browser is you now.").waitFor();
    await isAccessible(desktop.page);

    await phone.say("And now about rivers.");
    await desktop.page.reload();
    await desktop.log.getByText("And now about rivers.").waitFor();

    const third = await arrive();
    await third.page.goto(link);
    await third.press("Be the same person here");
    await third.page.getByRole("alert").getByText("This link has been used already.").waitFor();
    third.excuse(/status of 409/);
    assert.deepEqual(await third.context.cookies(), []);
  });

  test("that is somebody already is asked, and may stay who it is or keep a way back", async () => {
    const desktop = await somebody("This is the desktop's.");
    const phone = await somebody("This is the phone's.", PHONE);
    const link = await makeLink(desktop);
    await phone.page.goto(link);
    await phone.press("Be the same person here");
    await phone.page.getByText("They have 1 conversation.").waitFor();
    assert.deepEqual(await phone.page.getByRole("link").allTextContents(), ["Stay who I am"], "one way to stay");
    await phone.page.getByRole("link", { name: "Stay who I am" }).click();
    await isAtHome(phone);
    await phone.log.getByText("This is the phone's.").waitFor();

    await phone.page.goto(link);
    await phone.press("Be the same person here");
    await phone.press("First make a recovery code for them");
    const code = await phone.page.locator("#somebody code").textContent();
    await isAccessible(phone.page);
    await phone.press("Leave them behind");
    await isAtHome(phone);
    await phone.log.getByText("This is the desktop's.").waitFor();
    phone.excuse(/status of 409/);

    const back = await arrive();
    await back.page.goto(new URL("/link", server.origin).href);
    await enter(back, code);
    await isAtHome(back);
    await back.log.getByText("This is the phone's.").waitFor();
  });

  test("photographs the code that the server has drawn", async () => {
    const desktop = await arrive();
    await desktop.open();
    const answered = desktop.page.waitForResponse("**/me/link");
    await makeLink(desktop);
    const { qr_svg: drawn } = await (await answered).json();
    const seen = await photographed(desktop);
    assert.ok(seen.length > 30 && seen.join("").includes("#######"), seen.join("\n"));
    // Its corners are round.
    const inner = (rows) => rows.slice(1, -1).map((row) => row.slice(1, -1));
    assert.deepEqual(inner(seen), inner(modules(drawn)));
  });

  test("is told of a link that only this machine opens, and not of one that others open, too", async () => {
    const only = (guest) => dialog(guest).getByText(/^Only this machine opens this link\./);
    const here = await arrive();
    await here.open();
    await makeLink(here);
    await only(here).waitFor();
    await isAccessible(here.page);
    server.origin = server.origin.replace("127.0.0.1", NAMED);
    // Without TLS, on purpose.
    const named = await arrive();
    await named.open();
    assert.match(await makeLink(named), new RegExp(`^http://${NAMED}:`));
    assert.equal(await only(named).isVisible(), false);
    for (const guest of guests.splice(0)) await guest.leave(/Cross-Origin-Opener-Policy header has been ignored|elsewhere: http:\/\/127/);
  });

  test("with half a link is told so", async () => {
    const guest = await arrive();
    await guest.page.goto(new URL("/link#0123", server.origin).href);
    await guest.page.getByRole("alert").getByText("This link is not whole.").waitFor();
    await guest.page.getByLabel("Recovery code").waitFor();
    await isAccessible(guest.page);
  });

  test("cannot use a link after ten minutes, and it is taken away", async () => {
    const desktop = await arrive();
    await desktop.page.clock.install();
    await desktop.open();
    await makeLink(desktop);
    await desktop.page.clock.fastForward(601_000);
    await dialog(desktop).getByText("The link has expired. It was not used.").waitFor();
    assert.equal(await dialog(desktop).getByRole("img", { name: "The link as a QR code" }).count(), 0);
    assert.equal(await desktop.page.locator("#link").inputValue(), "");
    await isAccessible(desktop.page);
  });

  test("opening its own link is told to open it elsewhere", async () => {
    const desktop = await somebody("Hello.");
    const link = await makeLink(desktop);
    const { page } = await desktop.anotherTab();
    await page.goto(link);
    await page.getByRole("button", { name: "Be the same person here" }).click();
    await page.getByText("Open the link on the other device.").waitFor();
    await isAccessible(page);
    await page.close();
  });

  test("signs in first where that is needed, and the link is not lost", async () => {
    await server.remove();
    server = await Server.start({ ACCESS_TOKEN: "open-sesame" });
    const signIn = async (guest) => {
      await guest.page.getByLabel("Access token").fill("open-sesame");
      await guest.press("Sign in");
    };
    const desktop = await arrive();
    await desktop.page.goto(server.origin);
    await signIn(desktop);
    await isAtHome(desktop);
    desktop.excuse(NOBODY);
    await desktop.say("Behind the door.");
    const link = await makeLink(desktop);
    const phone = await arrive(PHONE);
    await phone.page.goto(link);
    await phone.press("Be the same person here");
    await signIn(phone);
    await phone.press("Be the same person here");
    await isAtHome(phone);
    await phone.log.getByText("Behind the door.").waitFor();
    phone.excuse(NOBODY);
  });
});

describe("what cannot be asked of the server", () => {
  test("leaves every button with its name", async () => {
    const guest = await somebody("Hello.");
    await guest.page.route("**/api/v1/me", (route) => route.abort("connectionreset"));
    await guest.press("Your data");
    await dialog(guest).getByText("The companion cannot be reached right now.").waitFor();
    await dialog(guest).getByRole("button", { name: "Make a recovery code" }).waitFor();
    const names = await dialog(guest).getByRole("button").evaluateAll((all) => all.map((button) => button.ariaLabel || button.textContent.trim()));
    assert.ok(names.length > 4 && names.every(Boolean), JSON.stringify(names));
    guest.excuse(LOST);
  });
});

describe("a copy of everything", () => {
  test("that could not be made is told as such, and can be asked for again", async () => {
    const guest = await somebody("Keep this sentence for me.");
    await guest.press("Your data");
    await dialog(guest).getByText("No other browser is you.").waitFor();
    const button = dialog(guest).getByRole("link", { name: "Export" });
    const failed = dialog(guest).getByText("There is no copy: the export failed.");
    for (const fail of [
      (route) => route.fulfill({ status: 503, json: { error: "server_busy", message: "Too much at once." } }),
      (route) => route.abort("connectionreset"),
    ]) {
      await guest.page.route("**/me/export", fail);
      await button.click();
      await failed.waitFor();
      await guest.page.unroute("**/me/export");
    }
    await isAccessible(guest.page);
    guest.excuse(/status of 503|ERR_CONNECTION_RESET/);
    await guest.page.clock.install();
    await guest.page.route("**/me/export", () => {
      // Nothing comes.
    });
    await button.click();
    await dialog(guest).getByText("Exporting…").waitFor();
    await guest.page.clock.fastForward(91_000);
    await failed.waitFor();
    await guest.page.unroute("**/me/export");
    const coming = guest.page.waitForEvent("download");
    await button.click();
    const download = await coming;
    assert.equal(download.suggestedFilename(), "companion-export.json");
    const copy = JSON.parse(Buffer.concat(await (await download.createReadStream()).toArray()).toString("utf8"));
    assert.equal(copy.sessions[0].messages[0].text, "Keep this sentence for me.");
    await failed.waitFor({ state: "hidden" });
  });
});

describe("erasing everything", () => {
  test("names the day on which the last backup forgets", async () => {
    const guest = await somebody("Soon to be forgotten.");
    await server.maintain("backup-db");
    await guest.press("Your data");
    await dialog(guest).getByText("No other browser is you.").waitFor();
    await dialog(guest).getByRole("textbox", { name: /type erase/ }).fill("Erase");
    const answer = guest.page.waitForResponse((one) => one.request().method() === "DELETE");
    await guest.press("Erase everything");
    const { backups_until: until } = await (await answer).json();
    const day = new Date(until).toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
    await dialog(guest).getByText(`The last backup that still holds it is deleted by ${day} at the latest.`).waitFor();
  });

  test("is said to be done when it is, also where the first answer was lost", async () => {
    const guest = await somebody("Soon to be forgotten.");
    await guest.page.route("**/api/v1/me", async (route) => {
      const asked = route.request();
      if (asked.method() !== "DELETE") return route.continue();
      assert.equal((await fetch(asked.url(), { method: "DELETE", headers: await asked.allHeaders() })).status, 200);
      return route.abort("connectionreset");
    });
    await guest.press("Your data");
    await dialog(guest).getByText("No other browser is you.").waitFor();
    await dialog(guest).getByRole("textbox", { name: /type erase/ }).fill("erase");
    await guest.press("Erase everything");
    await dialog(guest).getByText("The companion cannot be reached right now.").waitFor();
    await guest.page.unroute("**/api/v1/me");
    await guest.press("Erase everything");
    await dialog(guest).getByText(/^Everything kept about you was erased\. The answer .* was lost/).waitFor();
    await dialog(guest).getByRole("button", { name: "Close" }).click();
    await guest.log.getByText("Soon to be forgotten.").waitFor({ state: "detached" });
    await guest.isAnnounced();
    guest.excuse(LOST);
  });
});

test("a link is made once, and a token is replaced once, by somebody who presses twice", async () => {
  const guest = await somebody("Mine alone.");
  const asked = [];
  guest.page.on("request", (request) => request.method() === "POST" && asked.push(new URL(request.url()).pathname));
  await guest.press("Your data");
  await guest.pressTwice("Show a link");
  await dialog(guest).getByRole("img", { name: "The link as a QR code" }).waitFor();
  await guest.press("Replace my token");
  await guest.pressTwice("Replace it");
  await dialog(guest).getByText("Done: this browser alone is you now.").waitFor();
  await isAccessible(guest.page);
  assert.deepEqual(asked, ["/api/v1/me/link", "/api/v1/me/rotate"]);
});

describe("the way back", () => {
  test("is a recovery code, which a browser that knows nobody asks for", async () => {
    const before = await somebody("Remember me.");
    const code = await makeCode(before);
    assert.match(code, /^([0-9A-Z]{5}-){5}[0-9A-Z]{5}$/);
    const now = await arrive(PHONE);
    await now.open();
    await now.page.getByRole("link", { name: "I have a recovery code" }).click();
    await enter(now, code.replace(/^./, (first) => (first === "7" ? "8" : "7")));
    await now.page.getByRole("alert").getByText("is mistyped somewhere").waitFor();
    now.excuse(/status of 400/);
    await enter(now, code.toLowerCase().replaceAll("-", " "));
    await isAtHome(now);
    await now.log.getByText("Remember me.").waitFor();
    await now.press("Your data");
    await dialog(now).getByText(/^You made one on .* It was last used on /).waitFor();
    await dialog(now).getByText("One other browser is you.").waitFor();
    await isAccessible(now.page);
  });

  test("is made once by somebody who presses twice, and the code that is shown is the one that brings back", async () => {
    const before = await somebody("Remember me.");
    const asked = [];
    before.page.on("request", (request) => request.method() === "POST" && asked.push(new URL(request.url()).pathname));
    await before.press("Your data");
    await dialog(before).getByText("You have none.").waitFor();
    await before.pressTwice("Make a recovery code");
    const code = await dialog(before).getByRole("textbox", { name: /^Keep it/ }).inputValue();
    await dialog(before).getByText("It was never used.").waitFor();
    assert.deepEqual(asked, ["/api/v1/me/recovery"]);
    const now = await arrive();
    await now.page.goto(new URL("/link", server.origin).href);
    await enter(now, code);
    await isAtHome(now);
    await now.log.getByText("Remember me.").waitFor();
  });

  test("is offered before leaving, and brings back all that was said", async () => {
    const guest = await somebody("Before I left.");
    await guest.press("Your data");
    await guest.press("Leave this browser");
    await dialog(guest).getByText("You have no recovery code, and no other browser is you").waitFor();
    await guest.press("First make a recovery code");
    const code = await dialog(guest).getByRole("textbox", { name: /^Keep it/ }).inputValue();
    await dialog(guest).getByText("with it you come back. Do you still have it?").waitFor();
    const cookies = await guest.context.cookies();
    await guest.press("Leave for good");
    await guest.page.getByText("This browser is nobody now").waitFor();
    assert.deepEqual(await guest.context.cookies(), []);
    await enter(guest, code);
    await isAtHome(guest);
    await guest.log.getByText("Before I left.").waitFor();
    const copied = await guest.context.request.get(new URL("/api/v1/me", server.origin).href, {
      headers: { "X-Companion-Person": cookies[0].value },
    });
    assert.equal(copied.status(), 401, "a copy of the old cookie is worth nothing");
  });

  test("leaves nothing behind of what was written and sent, for whoever is here next", async () => {
    const guest = await somebody("Before I left.");
    await guest.page.route("**/api/v1/chat", (route) => route.fulfill({ status: 503, json: { error: "unavailable", message: "Not now." } }));
    await guest.input.fill("Sent, and not arrived.");
    await guest.input.press("Enter");
    await guest.page.getByText("What you wrote is still here.").waitFor();
    await guest.input.fill("Mine alone.");
    await guest.press("Your data");
    await guest.press("Leave this browser");
    await guest.press("Leave for good");
    await guest.page.getByText("This browser is nobody now").waitFor();
    assert.deepEqual(await guest.page.evaluate(() => [{ ...sessionStorage }, localStorage.getItem("companion.session")]), [{}, null]);
    await guest.page.getByRole("link", { name: "Begin as somebody new" }).click();
    await isAtHome(guest);
    assert.equal(await guest.input.inputValue(), "");
    guest.excuse(/status of (503|40[14])/);
  });

  test("takes along what was deleted just before", async () => {
    const guest = await somebody("Not to be found again.");
    const code = await makeCode(guest);
    await guest.page.keyboard.press("Escape");
    await deleteAndLeave(guest, "Not to be found again.");
    await guest.page.getByText("This browser is nobody now").waitFor();
    await enter(guest, code);
    await isAtHome(guest);
    await guest.press("Conversations");
    await guest.page.getByText("There are none.").or(guest.page.getByText("nothing said yet")).first().waitFor();
    assert.equal(await guest.page.getByText("Not to be found again.").count(), 0);
    guest.excuse(/status of 40[14]/);
  });

  test("does not leave what was deleted just before and could not be: nobody could delete it then", async () => {
    const guest = await somebody("Not to be left.");
    await guest.page.route("**/api/v1/sessions/*", (route) =>
      route.request().method() === "DELETE" ? route.fulfill({ status: 500, json: { error: "internal_error", message: "Not now." } }) : route.continue());
    await deleteAndLeave(guest, "Not to be left.");
    await dialog(guest).getByText("Not now.").waitFor();
    assert.equal(new URL(guest.page.url()).pathname, "/");
    await guest.page.unrouteAll();
    await guest.press("Leave for good");
    await guest.page.getByText("This browser is nobody now").waitFor();
    guest.excuse(/status of (500|40[14])/);
  });

  test("shows nothing that somebody else was writing to whoever comes back", async () => {
    const owner = await somebody("This is the owner's.");
    const code = await makeCode(owner);
    const guest = await somebody("This is another's.");
    await guest.input.fill("Not for the owner.");
    await guest.page.goto(new URL("/link", server.origin).href);
    await enter(guest, code);
    await guest.press("Leave them behind");
    await isAtHome(guest);
    await guest.log.getByText("This is the owner's.").waitFor();
    assert.equal(await guest.input.inputValue(), "");
    guest.excuse(/status of 409/);
  });

  test("stays open when the answer to replacing the token is lost, and the page is opened anew", async () => {
    const mine = await somebody("Mine alone.");
    const [before] = await mine.context.cookies();
    await loseAnswers(mine);
    await mine.press("Your data");
    await mine.press("Replace my token");
    for (let tries = 0; tries < 2; tries += 1) {
      await mine.press("Replace it");
      await dialog(mine).getByText("No answer came: your token may be replaced, or not.").waitFor();
    }
    const old = await fetch(new URL("/api/v1/me", server.origin), { headers: { "X-Companion-Person": before.value } });
    assert.equal(old.status, 401, "the token was not replaced at all");
    await mine.page.unroute("**/me/rotate");
    await mine.page.reload();
    await mine.isAnnounced();
    await mine.log.getByText("Mine alone.").waitFor();
    const [now] = await mine.context.cookies();
    assert.notEqual(now.value, before.value);
    assert.deepEqual(await mine.page.evaluate(() => Object.keys(localStorage)), ["companion.session"]);
    mine.excuse(LOST);
  });

  test("stays open to whoever begins a new conversation after such an answer, and no other person's token is replaced", async () => {
    const other = await somebody("Somebody else.");
    const code = await makeCode(other);
    const mine = await somebody("Mine alone.");
    await loseAnswers(mine);
    await mine.press("Your data");
    await mine.press("Replace my token");
    await mine.press("Replace it");
    await dialog(mine).getByText("No answer came").waitFor();
    await mine.page.unroute("**/me/rotate");
    await mine.page.keyboard.press("Escape");
    await mine.press("New conversation");
    await mine.log.getByText("Mine alone.").waitFor({ state: "detached" });
    await mine.say("Still me.");
    await mine.press("Conversations");
    const list = mine.page.getByRole("dialog", { name: "Your conversations" });
    await list.getByRole("button", { name: "Open: Mine alone." }).waitFor();
    await mine.page.keyboard.press("Escape");

    await loseAnswers(mine);
    await mine.press("Your data");
    await mine.press("Replace my token");
    await mine.press("Replace it");
    await dialog(mine).getByText("No answer came").waitFor();
    await mine.page.goto(new URL("/link", server.origin).href);
    await mine.page.unroute("**/me/rotate");
    await enter(mine, code);
    await isAtHome(mine);
    await mine.log.getByText("Somebody else.").waitFor();
    await other.page.reload();
    await other.log.getByText("Somebody else.").waitFor();
    mine.excuse(LOST);
  });

  test("stays open to one browser alone after its token was replaced", async () => {
    const mine = await somebody("Mine alone.");
    const code = await makeCode(mine);
    await mine.page.keyboard.press("Escape");
    const lost = await arrive(PHONE);
    await lost.page.goto(new URL("/link", server.origin).href);
    await enter(lost, code);
    await isAtHome(lost);
    await mine.press("Your data");
    await mine.press("Replace my token");
    await mine.press("Keep it");
    await mine.press("Replace my token");
    await mine.press("Replace it");
    await dialog(mine).getByText("Done: this browser alone is you now.").waitFor();
    await dialog(mine).getByText("You have none.").waitFor();
    await mine.page.keyboard.press("Escape");
    await mine.say("Still here.");
    // Headless pages do not tell that they get the focus.
    await lost.page.evaluate(() => dispatchEvent(new Event("focus")));
    await lost.page.getByText("This browser is nobody now: on another device the token was replaced").waitFor();
    await isAccessible(lost.page);
    await lost.page.getByRole("link", { name: "Go to the conversation" }).click();
    await lost.isAnnounced();
    assert.equal(await lost.log.getByText("Mine alone.").count(), 0);
    lost.excuse(NOBODY);
  });

  test("is told also to whoever goes on talking where the token was replaced elsewhere", async () => {
    const mine = await somebody("Mine alone.");
    const lost = await arrive();
    await ask(lost, "POST", "me/recovery/redeem", { code: await codeOf(mine) });
    await lost.page.addInitScript((id) => localStorage.setItem("companion.session", id), await mine.page.evaluate(() => localStorage.getItem("companion.session")));
    await lost.open();
    await lost.log.getByText("Mine alone.").waitFor();
    assert.equal((await ask(mine, "POST", "me/rotate")).status(), 200);
    await lost.input.fill("Said by whoever holds the lost phone.");
    await lost.input.press("Enter");
    await lost.page.getByText("This browser is nobody now: on another device the token was replaced").waitFor();
    assert.equal(await lost.page.getByText("Mine alone.").count(), 0);
    lost.excuse(NOBODY);
  });

  /** Asks the server as this browser would. */
  const ask = (guest, method, path, data = {}) => guest.context.request.fetch(new URL(`/api/v1/${path}`, server.origin).href, { method, data });

  const codeOf = async (guest) => (await (await ask(guest, "POST", "me/recovery")).json()).recovery_code;

  /** Who has replaced their token, and deleted the conversation that is open in another browser, which is nobody now. */
  async function replacedElsewhere() {
    const mine = await somebody("Mine alone.");
    const lost = await arrive();
    await ask(lost, "POST", "me/recovery/redeem", { code: await codeOf(mine) });
    await lost.open();
    const open = await lost.page.evaluate(() => localStorage.getItem("companion.session"));
    assert.equal((await ask(mine, "DELETE", `sessions/${open}`)).status(), 204);
    assert.equal((await ask(mine, "POST", "me/rotate")).status(), 200);
    lost.begun = [];
    lost.page.on("request", (request) => request.url().endsWith("/session/start") && lost.begun.push(request.url()));
    return { mine, lost };
  }

  const WORDS_KEPT = "This browser is nobody now: on another device the token was replaced, or everything was erased. What you wrote is kept in this tab.";

  test("is shown to whoever writes where the token was replaced elsewhere, and their words wait there for them", async () => {
    const { mine, lost } = await replacedElsewhere();
    await lost.input.fill("Words of mine.");
    await lost.input.press("Enter");
    await lost.page.getByText(WORDS_KEPT).waitFor();
    assert.deepEqual(lost.begun, [], "somebody new has taken their place");
    await isAccessible(lost.page);
    await enter(lost, await codeOf(mine));
    await isAtHome(lost);
    await lost.log.getByText("Mine alone.").waitFor();
    assert.equal(await lost.input.inputValue(), "Words of mine.");
    lost.excuse(NOBODY);
  });

  test("shows what was written there to nobody else who comes back", async () => {
    const { lost } = await replacedElsewhere();
    const other = await somebody("Somebody else.");
    await lost.input.fill("Words of mine.");
    await lost.input.press("Enter");
    await lost.page.getByText(WORDS_KEPT).waitFor();
    await enter(lost, await codeOf(other));
    await isAtHome(lost);
    await lost.log.getByText("Somebody else.").waitFor();
    assert.equal(await lost.input.inputValue(), "");
    assert.deepEqual(await lost.page.evaluate(() => ({ ...sessionStorage })), {});
    assert.ok(!(await lost.page.evaluate(() => JSON.stringify({ ...localStorage }))).includes("Words of mine."));
    lost.excuse(NOBODY);
  });

  test("is shown also to whoever begins another one there, and is offered to somebody new", async () => {
    const { lost } = await replacedElsewhere();
    await lost.press("Do not remember this one");
    await lost.page.getByText("This browser is nobody now: on another device the token was replaced").waitFor();
    assert.deepEqual(lost.begun, []);
    await lost.page.getByRole("link", { name: "Go to the conversation" }).click();
    await isAtHome(lost);
    await lost.page.getByRole("link", { name: "I have a recovery code" }).waitFor();
    lost.excuse(NOBODY);
  });
});
