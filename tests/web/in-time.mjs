// Programs whose sound has to come in time, whatever else the machine is doing: a microphone that is read late has gaps.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const AHEAD = ["--rr", "5"];
let allowed;

/** What to start in place of this program, so that it comes before all others; itself where only root may do that. */
export async function inTime(program, args) {
  allowed ??= promisify(execFile)("chrt", [...AHEAD, "true"]).then(() => true, () => false);
  return (await allowed) ? ["chrt", [...AHEAD, program, ...args]] : [program, args];
}
