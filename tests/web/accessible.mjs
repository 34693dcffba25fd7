// What axe finds to mend.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** There is nothing to mend on this page as it is now, come to rest; `options` say where axe is not to look at all of it. */
export async function isAccessible(page, options = {}) {
  await page.emulateMedia({ reducedMotion: "reduce" });
  if (await page.evaluate(() => !window.axe)) await page.evaluate(axe);
  // What is in order need not be told one by one: on a long page that takes longer than looking.
  const run = { resultTypes: ["violations"], ...options };
  const { violations } = await page.evaluate((run) => window.axe.run(document, run), run);
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html}\n  ${failureSummary}`).join("\n")}`);
  assert.deepEqual(told, [], told.join("\n"));
}
