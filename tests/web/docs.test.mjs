// The page that shows the API, in a real browser: it shows every route, tries one, and breaks no rule of its own server.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { Server } from "./server.mjs";

let browser;
let server;
let guest;

before(async () => {
  browser = await launch();
  server = await Server.start({ ENABLE_API_DOCS: "true" });
});
after(async () => {
  await browser?.close();
  await server?.remove();
});
beforeEach(async () => {
  guest = await Guest.arrive(browser, server);
  await guest.page.goto(`${server.origin}/api/v1/docs`);
  await guest.page.locator("#routes:not([aria-busy])").waitFor();
});
afterEach(() => guest.leave());

/** Opens a route and returns it. */
async function unfold(name) {
  const route = guest.page.locator(`details[data-route="${name}"]`);
  await route.locator("summary").click();
  await route.getByRole("button").waitFor();
  return route;
}

test("every route is shown, each can be opened, and nothing is fetched from elsewhere or refused", async () => {
  const api = await (await fetch(`${server.origin}/api/v1/openapi.json`)).json();
  const expected = Object.entries(api.paths).flatMap(([path, item]) =>
    ["get", "post", "patch", "delete"].filter((verb) => item[verb]).map((verb) => `${verb.toUpperCase()} ${path}`),
  );
  const shown = await guest.page.locator("details").evaluateAll((all) => all.map((one) => one.dataset.route));
  assert.deepEqual(shown.toSorted(), expected.toSorted());
  for (const name of shown) {
    const route = await unfold(name);
    const text = await route.textContent();
    assert.doesNotMatch(text, /undefined|\[object/, name);
    assert.match(text, /Answers/);
  }
  assert.match(await guest.page.locator('details[data-route="POST /api/v1/chat"]').textContent(), /session_id: string, format uuid/);
});

test("a conversation can be tried: start, say, list, delete", async () => {
  const start = await unfold("POST /api/v1/session/start");
  await start.getByRole("button", { name: "Send" }).click();
  await start.locator("pre[aria-live]").getByText('"session_id"').waitFor();
  const session = /"session_id": "([^"]+)"/.exec(await start.locator("pre[aria-live]").textContent())[1];

  const chat = await unfold("POST /api/v1/chat");
  await chat.getByRole("textbox", { name: "Body" }).fill(JSON.stringify({ session_id: session, message: "hello" }));
  await chat.getByRole("button", { name: "Send" }).click();
  await chat.locator("pre[aria-live]").getByText('"checkpoint_id"').waitFor();

  const list = await unfold("GET /api/v1/sessions");
  await list.getByRole("textbox", { name: "limit" }).fill("1");
  await list.getByRole("button", { name: "Send" }).click();
  await list.locator("pre[aria-live]").getByText(session).waitFor();

  const remove = await unfold("DELETE /api/v1/sessions/{id}");
  await remove.getByRole("textbox", { name: "id", exact: true }).fill(session);
  await remove.getByRole("button", { name: "Send: this deletes" }).click();
  await remove.locator("pre[aria-live]").getByText("204").waitFor();
  await isAccessible(guest.page);
});

test("what is looked for is found", async () => {
  await guest.page.getByRole("searchbox", { name: "Find" }).fill("delete sessions");
  const left = await guest.page.locator("details:visible").evaluateAll((all) => all.map((one) => one.dataset.route));
  assert.deepEqual(left, ["DELETE /api/v1/sessions/{id}"]);
  await guest.page.getByRole("searchbox", { name: "Find" }).fill("nothing like that");
  await guest.page.locator("details:visible").waitFor({ state: "hidden" });
  await isAccessible(guest.page);
});
