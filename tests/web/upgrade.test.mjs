// A page that is open while the server is upgraded goes on, with its own files; the next one that is loaded is the new one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { EarlierRelease } from "./earlier-release.mjs";
import { Guest, launch } from "./guest.mjs";
import { Server } from "./server.mjs";

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("a page of the release before goes on after the upgrade, and is followed by the new one", async () => {
  const server = await Server.start();
  let release;
  let guest;
  try {
    const page = await (await fetch(server.origin)).text();
    await server.stop();
    release = await EarlierRelease.of(server, page, (name, text) => {
      if (name === "index.html") return text.replace("<h1>Companion</h1>", "<h1>Companion of yesterday</h1>");
      if (name.startsWith("conversations-")) return text.replaceAll('"Today"', '"This day"');
      return `${text}\n`;
    });
    await release.leaveIn(server);
    await server.restart();
    await release.serve(server);
    guest = await Guest.arrive(browser, server);
    const asked = [];
    guest.page.on("response", (answer) => asked.push([new URL(answer.url()).pathname, answer.status()]));
    await guest.open();
    await guest.page.getByRole("heading", { name: "Companion of yesterday" }).waitFor();
    await guest.say("Before the upgrade.");

    release.upgrade();
    const late = asked.length;
    await guest.say("After the upgrade.");
    await guest.press("New conversation");
    await guest.page.getByText("After the upgrade.").waitFor({ state: "detached" });
    await guest.press("Conversations");
    const list = guest.page.getByRole("dialog", { name: "Your conversations" });
    await list.getByRole("heading", { name: "This day" }).waitFor();
    const modules = asked.slice(late).filter(([path]) => path.startsWith("/static/"));
    assert.ok(modules.some(([path]) => path.includes("/conversations-")), "the module came before the upgrade");
    assert.deepEqual(modules.filter(([path, status]) => status !== 200 || !release.files.has(path.replace("/static/", ""))), []);
    await list.getByRole("button", { name: "Close" }).click();

    await guest.page.reload();
    await guest.page.getByRole("heading", { name: "Companion", exact: true }).waitFor();
    await guest.isAnnounced();
    await guest.press("Conversations");
    await list.getByRole("heading", { name: "Today" }).waitFor();
    const now = await guest.page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname));
    assert.deepEqual(now.filter((path) => release.files.has(path.replace("/static/", ""))), [], "files of the release before are used");
    await guest.leave();
    guest = null;
  } finally {
    await guest?.context.close();
    release?.close();
    await server.remove();
  }
});
