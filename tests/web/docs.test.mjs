// The page that shows the API, in a real browser: it shows every route, tries one, and breaks no rule of its own server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { Server } from "./server.mjs";

const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";

let browser;
let server;

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--headless", "--no-sandbox", "--disable-gpu"] });
  server = await Server.start({ ENABLE_API_DOCS: "true" });
});
after(async () => {
  await browser?.close();
  await server?.remove();
});

async function open() {
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  const troubles = [];
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && troubles.push(said.text()));
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("request", (request) => new URL(request.url()).origin === server.origin || troubles.push(request.url()));
  await page.goto(`${server.origin}/api/v1/docs`);
  await page.locator("#routes:not([aria-busy])").waitFor();
  return { page, troubles };
}

/** Opens a route and returns it. */
async function unfold(page, name) {
  const route = page.locator(`details[data-route="${name}"]`);
  await route.locator("summary").click();
  await route.getByRole("button").waitFor();
  return route;
}

test("every route is shown, each can be opened, and nothing is fetched from elsewhere or refused", async () => {
  const { page, troubles } = await open();
  const api = await (await fetch(`${server.origin}/api/v1/openapi.json`)).json();
  const expected = Object.entries(api.paths).flatMap(([path, item]) =>
    ["get", "post", "patch", "delete"].filter((verb) => item[verb]).map((verb) => `${verb.toUpperCase()} ${path}`),
  );
  const shown = await page.locator("details").evaluateAll((all) => all.map((one) => one.dataset.route));
  assert.deepEqual(shown.toSorted(), expected.toSorted());
  for (const name of shown) {
    const route = await unfold(page, name);
    const text = await route.textContent();
    assert.doesNotMatch(text, /undefined|\[object/, name);
    assert.match(text, /Answers/);
  }
  assert.match(await page.locator('details[data-route="POST /api/v1/chat"]').textContent(), /session_id: string, format uuid/);
  assert.deepEqual(troubles, []);
});

test("a conversation can be tried: start, say, list, delete", async () => {
  const { page, troubles } = await open();
  const start = await unfold(page, "POST /api/v1/session/start");
  await start.getByRole("button", { name: "Send" }).click();
  await start.locator("pre[aria-live]").getByText('"session_id"').waitFor();
  const session = /"session_id": "([^"]+)"/.exec(await start.locator("pre[aria-live]").textContent())[1];

  const chat = await unfold(page, "POST /api/v1/chat");
  await chat.getByRole("textbox", { name: "Body" }).fill(JSON.stringify({ session_id: session, message: "hello" }));
  await chat.getByRole("button", { name: "Send" }).click();
  await chat.locator("pre[aria-live]").getByText('"checkpoint_id"').waitFor();

  const list = await unfold(page, "GET /api/v1/sessions");
  await list.getByRole("textbox", { name: "limit" }).fill("1");
  await list.getByRole("button", { name: "Send" }).click();
  await list.locator("pre[aria-live]").getByText(session).waitFor();

  const remove = await unfold(page, "DELETE /api/v1/sessions/{id}");
  await remove.getByRole("textbox", { name: "id", exact: true }).fill(session);
  await remove.getByRole("button", { name: "Send: this deletes" }).click();
  await remove.locator("pre[aria-live]").getByText("204").waitFor();
  assert.deepEqual(troubles, []);
});

test("what is looked for is found", async () => {
  const { page } = await open();
  await page.getByRole("searchbox", { name: "Find" }).fill("delete sessions");
  const left = await page.locator("details:visible").evaluateAll((all) => all.map((one) => one.dataset.route));
  assert.deepEqual(left, ["DELETE /api/v1/sessions/{id}"]);
});
