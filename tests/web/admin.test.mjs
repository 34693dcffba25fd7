// What whoever runs the server sees at /admin: a real browser against the real server, whose numbers of the last month are in its
// own table. That it fits and is for everyone is tried with all other states (states/admin.mjs).

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { TOKEN, inUse } from "./month.mjs";
import { load } from "./pure.mjs";
import { Server } from "./server.mjs";

const REFUSED = /status of 401/;
let browser;
let server;
let guest;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());
afterEach(async () => {
  await guest?.leave();
  guest = null;
});

const address = (path) => new URL(path, server.origin).href;
const token = () => guest.page.getByLabel("Admin token");

async function arrive(options) {
  guest = await Guest.arrive(browser, server, options);
  await guest.page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
      const moved = list.getEntries().filter((entry) => !entry.hadRecentInput);
      window.shifts.push(...moved.map((entry) => entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 80)).join(" | ")));
    }).observe({ type: "layout-shift", buffered: true });
  });
}

/** Signs in beforehand, as another tab would have. */
async function enter() {
  const answer = await guest.context.request.post(address("/api/v1/admin/sign-in"), { data: { token: TOKEN } });
  assert.equal(answer.status(), 204);
}

async function open() {
  await guest.page.goto(address("/admin"));
  await guest.page.getByRole("heading", { name: "What needs attention" }).waitFor();
}

function moment(ms) {
  const at = new Date(ms);
  const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return `${day}, ${at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`;
}

describe("the admin page", async () => {
  const { bytes } = await load("admin/words.js");

  before(async () => {
    server = await inUse();
  });
  after(() => server.remove());

  test("is for whoever has the token, is signed in to by the keyboard alone, and left for good", async () => {
    await arrive();
    await guest.page.goto(address("/admin"));
    await guest.page.waitForURL(address("/admin/sign-in"));
    guest.excuse(REFUSED);
    await guest.page.locator("#sign-in button:enabled").waitFor();
    await guest.page.waitForFunction(() => document.activeElement.id === "token");
    await guest.page.keyboard.type("a guess");
    await guest.page.keyboard.press("Enter");
    await guest.page.getByRole("alert").getByText("This is not the admin token").waitFor();
    guest.excuse(REFUSED);
    await guest.page.keyboard.type(TOKEN);
    await guest.page.keyboard.press("Enter");
    await guest.page.waitForURL(address("/admin"));
    await guest.page.getByRole("heading", { name: "What needs attention" }).waitFor();
    const cookie = (await guest.context.cookies()).find(({ name }) => name === "companion_admin");
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/api/v1/admin"]);
    assert.doesNotMatch(cookie.value, /operator/);
    const before = await guest.context.cookies();
    await guest.press("Sign out");
    await guest.page.waitForURL(address("/admin/sign-in"));
    await guest.context.addCookies(before);
    await guest.page.goto(address("/admin"));
    await guest.page.waitForURL(address("/admin/sign-in"));
    guest.excuse(REFUSED);
  });

  /** Where counting what would go took too long, it is counted anew after a minute. */
  async function isCounted() {
    const status = async () => (await guest.context.request.get(address("/api/v1/admin/status"))).json();
    for (const end = Date.now() + 90_000; !(await status()).next_cleanup_counted; ) {
      assert.ok(Date.now() < end, "never counted");
      await guest.page.waitForTimeout(500);
    }
  }

  test("says first what needs attention and what to do about it", async () => {
    await arrive();
    await enter();
    await isCounted();
    await open();
    const found = await guest.page.locator("#health li").allInnerTexts();
    assert.match(found.find((text) => text.includes("backup-db")), /has not succeeded for 3 days.*companion-maint backup-db.*deploy\/README\.md#schedules/s);
    assert.match(found.find((text) => text.startsWith("cleanup-audio")), /^cleanup-audio failed 1 hour ago, and has never succeeded/);
    assert.ok(found[0].includes("backup-db") || found[0].includes("cleanup-audio"), "the worst comes first");
    const job = (name) => guest.page.locator("#jobs li", { has: guest.page.getByText(name, { exact: true }) });
    assert.match(await job("cleanup-sessions").innerText(), /succeeded\s+5 hours ago, freed 5 MiB/);
    assert.match(await job("backup-db").innerText(), /succeeded\s+overdue/);
    assert.match(await job("doctor").innerText(), /never ran/);
    const next = await guest.page.locator("#next").innerText();
    assert.match(next, /Sessions\s+1 \(1 turn\)\s+Memories\s+0\s+People\s+0\s+companion-maint cleanup-sessions --dry-run tells the same\./);
    assert.match(next, /same\.\s+Audio files\s+0\s+companion-maint cleanup-audio --dry-run tells the same\./);
    assert.match(await guest.page.locator("#memory").innerText(), /Memories\s+0/);
    assert.match(await guest.page.locator("#services").innerText(), /nothing leaves this machine/);
    assert.match(await guest.page.locator("#backups").innerText(), /Newest\s+none/);
  });

  test("shows how the numbers went, as pictures, by keyboard, and as tables", async () => {
    await arrive();
    await enter();
    const answer = guest.page.waitForResponse(/\/admin\/status\?span=24h$/);
    await open();
    const { trends } = await (await answer).json();
    // The last five minutes may have begun after the numbers were laid out.
    const missing = trends.series.sessions.slice(0, -1).filter((value) => value === null).length;
    assert.ok([7, 8].includes(missing), `of the 41 minutes without a number ${missing} points are seen`);
    const chart = guest.page.locator("#chart-turns");
    const drawn = await chart.locator("path.area").getAttribute("d");
    assert.ok(drawn.split("M").length > 200, "a column for each five minutes in which somebody spoke");
    const sum = trends.series.turns.reduce((all, value) => all + value, 0);
    const told = await chart.locator("p").textContent();
    assert.ok(Math.abs(Number(told.replace(/\D/g, "")) - sum) < 50, `${told} ${sum}`);
    assert.equal((await guest.page.locator("#chart-sessions path.line").first().getAttribute("d")).split("M").length, 3, "a line on each side of the gap");

    const slider = guest.page.getByRole("slider", { name: "Conversations and people: a moment" });
    await slider.focus();
    await guest.page.keyboard.press("Home");
    const first = await slider.getAttribute("aria-valuetext");
    assert.match(first, /: sessions \d+, people \d+$/);
    await guest.page.keyboard.press("End");
    assert.notEqual(await slider.getAttribute("aria-valuetext"), first);

    const rejections = guest.page.locator("#chart-rejections");
    await rejections.getByText("As a table").click();
    await rejections.getByRole("columnheader", { name: "too often" }).waitFor();
    assert.equal(await rejections.getByRole("row").count(), 1 + trends.series.turns.filter((value) => value !== null).length);

    await guest.page.getByLabel("30 days").check();
    await guest.page.waitForFunction(() => document.querySelectorAll("#chart-rejections tbody tr").length < 240);
    await chart.locator(".when").getByText("in 30 days", { exact: true }).waitFor();
  });

  /** What each chart is to show under which name, of what the server notes. */
  const CHARTS = {
    "Disk, by kind": { database: "database_bytes", log: "log_bytes", audio: "audio_bytes", backups: "backup_bytes" },
    "Free on disk": { free: "free_bytes" },
    "Growth of the database": { database: "database_bytes" },
    "Memory the server holds": { resident: "resident_bytes" },
    "Conversations and people": { sessions: "sessions", people: "persons" },
    Memories: { memories: "memories" },
    "Turns answered": { turns: "turns" },
    "Requests answered": { requests: "requests" },
    "Requests that failed inside": { failed: "failed_requests" },
    "Rejections, by reason": {
      "too large": "refused_too_large",
      "too slow": "refused_too_slow",
      "too often": "refused_too_often",
      "not let in": "refused_not_let_in",
      busy: "refused_busy",
      "disk low": "refused_disk_full",
      connections: "refused_connections",
    },
    "Files asked for again": { "still good (304)": "static_not_modified", "sent anew (200)": "static_sent" },
    "Open connections": { connections: "open_connections", "voice sockets": "voice_sockets" },
  };

  /** The table of a chart, as it has to be: the latest first. */
  function tableOf([title, columns], { from, step_seconds: step, series }) {
    const word = (name, value) => (value === null ? "–" : name.endsWith("_bytes") ? bytes(value) : value.toLocaleString("en-GB"));
    const rows = series[Object.values(columns)[0]].map((_, place) => {
      const values = Object.values(columns).map((name) => [name, series[name][place]]);
      const isNoted = values.some(([, value]) => value !== null);
      return isNoted && [moment(Date.parse(from) + place * step * 1000), ...values.map(([name, value]) => word(name, value))];
    });
    return { title, rows: [["When", ...Object.keys(columns)], ...rows.filter(Boolean).toReversed()] };
  }

  /** What is read in the tables of these charts. Each is open for a moment alone: so many rows take long to lay out. */
  async function tablesOf(charts) {
    const tables = [];
    for (const chart of charts) {
      const details = chart.querySelector("details");
      const toggled = () => new Promise((resolve) => details.addEventListener("toggle", resolve, { once: true }));
      const opened = toggled();
      details.open = true;
      await opened;
      const rows = [...chart.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => cell.textContent));
      const closed = toggled();
      details.open = false;
      await closed;
      tables.push({ title: chart.querySelector("figcaption span").textContent, rows });
    }
    return tables;
  }

  test("draws in every chart what the server has noted, of a day and of a month", async () => {
    await arrive();
    await enter();
    const answers = {};
    await guest.page.route("**/api/v1/admin/status*", async (route) => {
      const span = new URL(route.request().url()).searchParams.get("span");
      // Asked again it tells the same, as long as this takes.
      answers[span] ??= await (await route.fetch()).json();
      await route.fulfill({ json: answers[span] });
    });
    await open();
    const charts = guest.page.locator("#charts figure");
    for (const [span, label, last] of [["24h", "24 hours", /^at /], ["30d", "30 days", /^after /]]) {
      await guest.page.getByLabel(label).check();
      await charts.last().locator(".when").getByText(last).waitFor();
      await guest.page.waitForFunction(() => [...document.querySelectorAll("#charts figure")].every((chart) => chart.querySelector("path[d^=M]")));
      const tables = await charts.evaluateAll(tablesOf);
      assert.deepEqual(tables, Object.entries(CHARTS).map((chart) => tableOf(chart, answers[span].trends)), span);
    }
  });

  test("says of the last value at what time it was noted, also where that was long ago", async () => {
    await arrive();
    await enter();
    const silent = 24;
    let trends;
    await guest.page.route("**/api/v1/admin/status*", async (route) => {
      const answer = await route.fetch();
      const status = await answer.json();
      // For two hours nothing was noted.
      for (const points of Object.values(status.trends.series)) points.fill(null, -silent);
      trends = status.trends;
      await route.fulfill({ response: answer, json: status });
    });
    await open();
    const last = trends.series.sessions.findLastIndex((value) => value !== null);
    assert.ok(last < 288 - silent);
    const told = `at ${moment(Date.parse(trends.from) + last * trends.step_seconds * 1000)}`;
    const chart = guest.page.locator("#chart-sessions");
    await chart.locator(".when").getByText(told, { exact: true }).waitFor();
    assert.equal(await chart.locator(".key b").first().textContent(), trends.series.sessions[last].toLocaleString("en-GB"));
    assert.ok((await chart.locator("p.unseen").textContent()).includes(`${trends.series.sessions[last].toLocaleString("en-GB")} ${told}, between`));
    assert.doesNotMatch(await guest.page.locator("#charts").textContent(), /\bnow\b/);
  });

  test("says of each service outside how it is, and of the memory what is still to be done", async () => {
    const well = { state: "connected", circuit: "closed", retry_after_seconds: null, connections: 1, most_connections: 8 };
    const service = (name, calls, more) => ({ ...well, name, calls: { answered: 1, left: 1, ...calls }, ...more });
    const failing = { state: "disconnected", circuit: "open", retry_after_seconds: 7 };
    const told = {
      status: { upstreams: [service("llm", { answered: 12, timed_out: 3, busy: 1, garbage: 0 }, failing), service("tts")] },
      memory: {
        index: "qdrant",
        to_learn: 2,
        vectors: { model: "a-model-of-meanings", waiting: 7 },
        outbox: { changes: 5, oldest_seconds: 60 },
        qdrant: { problem: null, whole: false, copied: 3, ...service("qdrant") },
      },
    };
    await arrive();
    await enter();
    for (const [path, more] of [["status?*", told.status], ["memory/status", told.memory]]) {
      await guest.page.route(`**/api/v1/admin/${path}`, async (route) => {
        const answer = await route.fetch();
        await route.fulfill({ response: answer, json: { ...(await answer.json()), ...more } });
      });
    }
    await open();
    const rows = await guest.page.locator("#services li").allInnerTexts();
    assert.match(rows[0], /^llm\s+disconnected\s+breaker open\s+12 calls answered, 3 timed out, 1 busy, 1 of 8 connections$/);
    assert.match(rows[1], /^tts\s+connected\s+1 call answered, 1 of 8 connections$/);
    assert.match(await guest.page.locator("#health").innerText(), /The service llm failed too often and is left alone\. It is tried again in 7 seconds\./);
    const memory = await guest.page.locator("#memory").innerText();
    assert.match(memory, /Found by\s+qdrant\s+Turns to be learned from\s+2\s+Meaning\s+a-model-of-meanings; 7 memories to come/);
    assert.match(memory, /Qdrant\s+is being filled\s+Changes that wait for it\s+5$/);
    await isAccessible(guest.page);
  });

  test("says so when the server cannot be reached, and what it shows is old", async () => {
    await arrive();
    await enter();
    await guest.page.clock.install();
    await open();
    assert.match(await guest.page.locator("#fresh").textContent(), /^As of/);
    await server.stop();
    await guest.page.clock.fastForward(31_000);
    try {
      const told = /^The server cannot be reached\. What you see is (1 minute|less than a minute) old\. It is asked again every 30 s\.$/;
      await guest.page.getByRole("alert").getByText(told).waitFor();
      assert.ok(await guest.page.locator("main.stale").isVisible());
    } finally {
      await server.restart();
    }
    await guest.page.clock.fastForward(31_000);
    await guest.page.locator("main:not(.stale)").waitFor();
    await guest.page.route("**/api/**", (route) => route.abort());
    await guest.page.getByLabel("30 days").check();
    await guest.page.getByRole("alert").getByText("What you see is of the last 24 hours, and less than a minute old.").waitFor();
    await guest.page.unroute("**/api/**");
    await guest.page.clock.fastForward(31_000);
    await guest.page.locator("main:not(.stale)").waitFor();
    guest.excuse(/ERR_CONNECTION_REFUSED|ERR_FAILED/);
    assert.equal(await guest.page.locator("#problem").textContent(), "");
  });

  test("is small, and nothing moves while it loads", async () => {
    await arrive();
    await enter();
    await open();
    const bytes = await guest.page.evaluate(() => {
      const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      return all.reduce((sum, { transferSize }) => sum + transferSize, 0);
    });
    // The numbers are most of it.
    assert.ok(bytes > 5_000 && bytes <= 60 * 1024, `${bytes} bytes`);
    // Not until it was painted.
    await guest.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    assert.deepEqual(await guest.page.evaluate(() => window.shifts), []);
    // Were something to move, it would be seen. Not at once: the browser takes no notice of what it has not painted yet, nor of what
    // moves within half a second of a change of its window's size, which on a busy machine is late.
    await guest.page.waitForFunction(() => {
      document.body.prepend(Object.assign(document.createElement("p"), { textContent: "Moved!" }));
      return window.shifts.length > 0;
    }, undefined, { polling: 100 });
  });
});

test("without ADMIN_TOKEN there is no admin page", async () => {
  server = await Server.start();
  try {
    for (const path of ["/admin", "/admin/sign-in", "/api/v1/admin/status"]) {
      assert.equal((await fetch(address(path))).status, 404, path);
    }
  } finally {
    await server.remove();
  }
});

describe("what needs attention", async () => {
  const { attention, summary } = await load("admin/attention.js");
  const { anchor } = await load("admin/anchor.js");
  const handbook = await readFile(new URL("../../deploy/README.md", import.meta.url), "utf8");

  const now = "2026-11-24T12:00:00.000Z";
  const run = (job, more) => ({ job, outcome: "succeeded", overdue: false, started_at: now, last_success: now, bytes_reclaimed: null, ...more });
  const well = {
    now,
    degraded: [],
    min_free_bytes: 100 * 1024 ** 2,
    sessions: 3,
    newest_backup_at: "2026-11-24T02:00:00.000Z",
    disk: { free_bytes: 50 * 1024 ** 3, database_bytes: 1024 ** 2, backups: 3, backups_are_anothers: false, backups_share_the_databases_disk: false, backups_free_bytes: null },
    last_runs: [run("cleanup-sessions"), run("backup-db")],
    upstreams: [{ name: "llm", state: "connected", circuit: "closed", retry_after_seconds: null }],
    last_day: { requests: 1000, failed_requests: 1, rejections: { busy: 1, too_often: 1 } },
  };
  const memory = { to_learn: 0, vectors: null };
  const disk = (more) => ({ ...well, disk: { ...well.disk, ...more } });

  test("is nothing when all is well", () => {
    assert.deepEqual(attention(well, memory), []);
    assert.equal(summary([], well), "All is well: 50 GiB are free, the last backup was made 10 hours ago.");
  });

  for (const [what, status, remembered, level, words] of [
    ["a disk that is low", { ...disk({ free_bytes: 1024 }), degraded: ["disk"] }, memory, "bad", /The disk is low: 1 KiB/],
    ["a disk that fills up", disk({ free_bytes: 1024 ** 3 - 1 }), memory, "warn", /The disk fills up/],
    ["a database too large to be copied", disk({ database_bytes: 30 * 1024 ** 3 }), memory, "warn", /The disk fills up/],
    ["backups that are another's", disk({ backups_are_anothers: true }), memory, "bad", /another installation/],
    ["a disk of the backups that fills up", disk({ backups_free_bytes: 1024 ** 3 - 1 }), memory, "warn", /The disk of the backups fills up: 1,024 MiB/],
    ["no backup", disk({ backups: 0 }), memory, "warn", /no backup yet/],
    ["backups on the same disk", disk({ backups_share_the_databases_disk: true }), memory, "note", /same disk/],
    ["a job that failed", { ...well, last_runs: [run("backup-db", { outcome: "failed" })] }, memory, "bad", /backup-db failed less than a minute ago/],
    ["a fuse", { ...well, last_runs: [run("cleanup-audio", { outcome: "refused" })] }, memory, "warn", /refused for safety/],
    ["a cleanup that is overdue", { ...well, last_runs: [run("cleanup-audio", { overdue: true, last_success: "2026-11-20T12:00:00Z" })] }, memory, "warn", /has not succeeded for 4 days/],
    ["a backup that is overdue", { ...well, last_runs: [run("backup-db", { overdue: true, last_success: null, outcome: "never" })] }, memory, "bad", /has never succeeded/],
    ["a circuit that is open", { ...well, upstreams: [{ name: "llm", state: "disconnected", circuit: "open", retry_after_seconds: 7 }] }, memory, "bad", /left alone\. It is tried again in 7 seconds/],
    ["a service that is gone", { ...well, upstreams: [{ name: "tts", state: "disconnected", circuit: "closed" }] }, memory, "warn", /tts does not answer/],
    ["requests that fail", { ...well, last_day: { ...well.last_day, failed_requests: 51 } }, memory, "warn", /51 of 1,000 requests/],
    ["requests turned away", { ...well, last_day: { ...well.last_day, rejections: { busy: 51, too_often: 0 } } }, memory, "warn", /too busy/],
    ["requests that come too soon", { ...well, last_day: { ...well.last_day, rejections: { busy: 0, too_often: 501 } } }, memory, "warn", /came too soon/],
    ["turns that wait", well, { to_learn: 51, vectors: null }, "warn", /51 turns wait/],
    ["memories that wait", well, { to_learn: 0, vectors: { model: "m", waiting: 501 } }, "note", /501 memories wait/],
  ]) {
    test(`is ${what}, with what to do and a place in the handbook`, () => {
      const found = attention(status, remembered);
      assert.equal(found.length, 1, JSON.stringify(found));
      assert.deepEqual([found[0].level, words.test(found[0].text)], [level, true], found[0].text);
      assert.ok(found[0].todo.length > 5);
      const headings = handbook.split("\n").filter((line) => /^##+ /.test(line)).map((line) => anchor(line.replace(/^#+ /, "")));
      assert.ok(headings.includes(anchor(found[0].section)), found[0].section);
      if (found[0].command) assert.ok(handbook.includes(`\`${found[0].command.split(" ")[1]}\``), found[0].command);
    });
  }

  test("comes in the order of how bad it is", () => {
    const status = { ...disk({ backups_share_the_databases_disk: true, free_bytes: 1024 }), degraded: ["disk"], upstreams: [{ name: "tts", state: "disconnected", circuit: "closed" }] };
    const found = attention(status, memory);
    assert.deepEqual(found.map(({ level }) => level), ["bad", "warn", "note"]);
    assert.equal(summary(found, status), "2 things need attention.");
  });
});
