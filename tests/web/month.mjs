// A server that has been in use for a month: its numbers of that time are in its own table, as it would have noted them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { Server } from "./server.mjs";

/** Opens its admin page. */
export const TOKEN = "the-operator";

/** Runs SQL on the database of a server that has stopped. */
const sql = (server, text) => execFileSync("sqlite3", ["-bail", join(server.home, "data", "companion.db")], { input: text });

/** A month of numbers up to now: the last week has 200 sessions, then the database grows and browsers come. */
function samples() {
  const grown = (grain, step, many) => `
    INSERT OR REPLACE INTO samples (grain, began_at, free_bytes, database_bytes, log_bytes, audio_bytes, backup_bytes, resident_bytes,
        sessions, checkpoints, memories, persons, open_connections, voice_sockets, turns, requests, failed_requests, refused_too_large,
        refused_too_slow, refused_too_often, refused_not_let_in, refused_busy, refused_disk_full, refused_connections,
        static_not_modified, static_sent)
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${many - 1})
    SELECT ${grain}, now - now % ${step} - i * ${step}, 40000000000 - (${many} - i) * 1000000, 20000000 + (${many} - i) * 20000,
        (i * 7919) % 4000000, 30000000 + (i * 104729) % 9000000, 15000000 + (${many} - i) / 200 * 500000, 60000000 + (i * 15485863) % 12000000,
        200 + (${many} - i) / 20, 900, 400 + (${many} - i) / 9, 40 + (${many} - i) / 100, 5 + i % 30, i % 4, (i * 31) % 9, 40 + (i * 17) % 50,
        (i % 173 = 0) * 3, i % 97 = 0, i % 131 = 0, (i % 53 = 0) * 4, (i % 41 = 0) * 2, i % 211 = 0, 0, i % 307 = 0, (i * 13) % 12, i % 5
    FROM n, (SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS now)
    WHERE i NOT BETWEEN ${Math.round(many / 3)} AND ${Math.round(many / 3) + 40};`;
  return grown(1, 60_000, 1440) + grown(2, 1_800_000, 1440);
}

/** What maintenance did: one job well, one badly, one long ago. */
const RUNS = `
  INSERT INTO maintenance_runs (job, started_at, ended_at, outcome, report)
  SELECT column1, now - column2 * 3600000, now - column2 * 3600000 + 900, column3, column4 FROM (VALUES
      ('cleanup-sessions', 5, 'succeeded', '{"bytes_reclaimed": 5242880}'), ('cleanup-audio', 1, 'failed', '{"bytes_reclaimed": 0}'),
      ('backup-db', 80, 'succeeded', '{}')),
      (SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS now);
  UPDATE persons SET created_at = created_at - 864000000;
  UPDATE sessions SET last_active_at = last_active_at - 864000000;`;

/** Starts it. */
export async function inUse() {
  const server = await Server.start({ ADMIN_TOKEN: TOKEN });
  const address = (path) => new URL(path, server.origin).href;
  const started = await fetch(address("/api/v1/session/start"), { method: "POST" });
  const { session_id: session } = await started.json();
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ session_id: session, message: "Good morning!" });
  assert.equal((await fetch(address("/api/v1/chat"), { method: "POST", headers, body })).status, 200);
  await server.stop();
  sql(server, samples() + RUNS);
  await server.restart();
  return server;
}
