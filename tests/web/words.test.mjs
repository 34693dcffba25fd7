// How it is told how long things are kept, whatever is set.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { load } from "./pure.mjs";

const { day, isOfThisMachine, keptUntil, memoriesKept, moment, retention } = await load("words.js");

const UNTIL = "2026-12-24T12:00:00Z";
const told = (session_days, person_days, session) => retention({ retention: { session_days, person_days }, maintenance_overdue: [] }, session);

const going = { remembered: true, pinned: false, expires_at: UNTIL };
const staying = { remembered: true, pinned: false, expires_at: null };
const pinned = { remembered: true, pinned: true, expires_at: null };
const unremembered = { remembered: false, pinned: false, expires_at: UNTIL };

test("of the maintenance that is overdue one is named, and how many there are besides", () => {
  const overdue = (...jobs) => retention({ retention: { session_days: null, person_days: null }, maintenance_overdue: jobs }, going);
  assert.match(overdue("backup-db"), / Maintenance is overdue \(backup-db\)\.$/);
  assert.match(overdue("backup-db", "cleanup-audio", "cleanup-sessions"), / Maintenance is overdue \(backup-db and 2 more\)\.$/);
  assert.doesNotMatch(overdue(), /overdue/);
});

describe("how long the conversation on the page is kept", () => {
  for (const [what, days, session, words] of [
    ["both are set", [7, 400], going, `This conversation is kept until ${day(UNTIL)}; conversations idle for 7 days are deleted. People not seen for 400 days are forgotten.`],
    ["both are set, and it is pinned", [7, 400], pinned, "This conversation is pinned and kept until you delete it or have not been here for 400 days; other conversations idle for 7 days are deleted. People not seen for 400 days are forgotten."],
    ["only sessions go", [7, null], going, `This conversation is kept until ${day(UNTIL)}; conversations idle for 7 days are deleted.`],
    ["only sessions go, and it is pinned", [7, null], pinned, "This conversation is pinned and kept until you delete it; other conversations idle for 7 days are deleted."],
    ["only people go", [null, 1], going, "Conversations are kept until you delete them or have not been here for 1 day. People not seen for 1 day are forgotten."],
    ["only people go, and it is pinned", [null, 400], pinned, "Conversations are kept until you delete them or have not been here for 400 days. People not seen for 400 days are forgotten."],
    ["only people go, and it is not remembered", [null, 400], unremembered, `This conversation is not remembered and is deleted after ${moment(UNTIL)}; other conversations are kept until you delete them or have not been here for 400 days. People not seen for 400 days are forgotten.`],
    ["nothing goes by itself", [null, null], staying, "Conversations are kept until you delete them."],
    ["nothing goes by itself, and it is pinned", [null, null], pinned, "Conversations are kept until you delete them."],
  ]) {
    test(`is told where ${what}`, () => assert.equal(told(...days, session), words));
  }
});

describe("how long one in the list is kept", () => {
  for (const [what, session, days, words] of [
    ["one that goes", going, 400, `kept until ${day(UNTIL)}`],
    ["one that is not remembered", unremembered, null, `kept until ${moment(UNTIL)}`],
    ["a pinned one, where people are forgotten", pinned, 400, "kept until you delete it or have not been here for 400 days"],
    ["a pinned one, where nobody is", pinned, null, "kept until you delete it"],
    ["one that stays", staying, null, "kept until you delete it"],
    ["a pinned one, while it is not known who is forgotten", pinned, undefined, ""],
  ]) {
    test(`is told of ${what}`, () => assert.equal(keptUntil(session, days), words));
  }
});

describe("how long what is remembered is kept", () => {
  const most = 20_000;
  for (const [what, memory_days, person_days, words] of [
    ["until it is forgotten", null, null, "What I remember is kept until you forget it, also when its conversation has expired."],
    ["for a time", 30, 400, "What I remember is deleted 30 days after it was added or last changed, or when you forget it."],
  ]) {
    test(`is told where it is kept ${what}`, () => {
      const told = memoriesKept({ retention: { memory_days, person_days }, max_memories: most });
      const bound = `Of more than ${most.toLocaleString()} things the least useful ones go.`;
      const person = person_days ? ` It goes with everything else when you have not been here for ${person_days} days.` : "";
      assert.equal(told, `${words} ${bound}${person} Backups hold what is forgotten until they are rotated away.`);
    });
  }
});

test("an address that means whoever opens it is known", () => {
  const of = (host) => isOfThisMachine(`http://${host}:8000/link#0123`);
  for (const host of ["localhost", "my.localhost", "127.0.0.1", "127.8.0.1", "[::1]", "[::]", "0.0.0.0"]) assert.ok(of(host), host);
  for (const host of ["192.168.1.2", "companion.example", "[fe80::1]", "localhost.example", "127.0.0.1.example"]) assert.ok(!of(host), host);
});
