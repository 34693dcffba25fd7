// What needs whoever runs the server, the worst first: in words, with what to do, the command, and where the handbook tells more.

import { ago, bytes, count, some, span } from "/static/admin/words.js";

const GIB = 1024 ** 3;

const RUNS = {
  failed: ["bad", "failed"],
  killed: ["bad", "was ended from outside"],
  refused: ["warn", "refused for safety"],
  partial: ["warn", "left something undone"],
};

/** Findings: `level` is `bad`, `warn` or `note`; `section` is a heading of the handbook (deploy/README.md). */
export function attention(status, memory) {
  const found = [...disk(status), ...jobs(status), ...backups(status), ...services(status), ...requests(status), ...waiting(memory)];
  const order = ["bad", "warn", "note"];
  return found.toSorted((one, other) => order.indexOf(one.level) - order.indexOf(other.level));
}

/** One sentence about all of it. */
export function summary(found, { now, newest_backup_at: backup, disk: { free_bytes: free } }) {
  const pressing = found.filter(({ level }) => level !== "note").length;
  const kept = backup ? `, the last backup was made ${ago(backup, now)}` : "";
  if (pressing === 0) return `All is well: ${bytes(free)} are free${kept}.`;
  return pressing === 1 ? "One thing needs attention." : `${count(pressing)} things need attention.`;
}

function disk({ degraded, min_free_bytes: least, disk: { free_bytes: free, database_bytes: database } }) {
  const where = { command: "companion-maint cleanup-sessions", section: "The disk is full" };
  if (degraded.includes("disk")) {
    const text = `The disk is low: ${bytes(free)} are free, less than MIN_FREE_DISK_BYTES (${bytes(least)}). What would grow the store is refused.`;
    return [{ level: "bad", text, todo: "Make room now.", ...where }];
  }
  if (free >= Math.max(GIB, 2 * database)) return [];
  const text = `The disk fills up: ${bytes(free)} are free, less than 1 GiB or than two copies of the database.`;
  return [{ level: "warn", text, todo: "Make room before it is full.", ...where }];
}

function jobs({ now, last_runs: runs }) {
  return runs.flatMap((run) => {
    const [level, became] = RUNS[run.outcome] ?? [];
    if (!level && !run.overdue) return [];
    const told = level ? [`${became} ${ago(run.started_at, now)}`] : [];
    if (run.overdue) {
      const since = span(Date.parse(now) - Date.parse(run.last_success));
      told.push(run.last_success ? `has not succeeded for ${since}` : "has never succeeded");
    }
    const worst = level === "bad" || (run.overdue && run.job === "backup-db") ? "bad" : "warn";
    const todo = level ? "Run it by hand and read what it says." : "Run it now. Is it scheduled?";
    const command = `companion-maint ${run.job}${run.outcome === "refused" ? " --dry-run" : ""}`;
    return [{ level: worst, text: `${run.job} ${told.join(", and ")}.`, todo, command, section: level ? "Every exit code" : "Schedules" }];
  });
}

function backups({ disk: all, sessions, last_runs: runs }) {
  const { backups: many, backups_are_anothers: anothers, backups_share_the_databases_disk: shared, backups_free_bytes: free } = all;
  if (free !== null && free < Math.max(GIB, 2 * all.database_bytes)) {
    const text = `The disk of the backups fills up: ${bytes(free)} are free there.`;
    return [{ level: "warn", text, todo: "Keep fewer (BACKUP_KEEP), or give them a larger disk.", command: "companion-maint list-backups", section: "The disk is full" }];
  }
  if (anothers) {
    const text = "BACKUP_DIR is another installation's: none of the backups there is ours.";
    return [{ level: "bad", text, todo: "See what doctor says.", command: "companion-maint doctor", section: "One directory, one installation" }];
  }
  if (many === 0) {
    const told = runs.some((run) => run.job === "backup-db" && run.overdue);
    const text = "There is no backup yet.";
    return told || sessions === 0 ? [] : [{ level: "warn", text, todo: "Make one.", command: "companion-maint backup-db", section: "Schedules" }];
  }
  if (!shared) return [];
  const text = "The backups lie on the same disk as the database: if it breaks, both are lost.";
  return [{ level: "note", text, todo: "Set BACKUP_DIR to another disk, or copy them elsewhere.", section: "A copy elsewhere" }];
}

function services({ upstreams }) {
  return upstreams.flatMap(({ name, state, circuit, retry_after_seconds: wait }) => {
    const section = "Give it a language model";
    if (circuit === "open") {
      const again = wait ? ` It is tried again in ${some(wait, "second")}.` : "";
      return [{ level: "bad", text: `The service ${name} failed too often and is left alone.${again}`, todo: "Is it up? The log's lines request_failed tell why.", section }];
    }
    if (state !== "disconnected") return [];
    return [{ level: "warn", text: `The service ${name} does not answer.`, todo: "Is it up, and is its address right?", section }];
  });
}

function requests({ last_day: { requests: all, failed_requests: failed, rejections } }) {
  const found = [];
  const section = "What to alert on";
  const share = (many) => `${count(many)} of ${some(all, "request")} of the last 24 hours`;
  if (failed > all / 20) found.push({ level: "warn", text: `${share(failed)} failed inside.`, todo: "The log's lines request_failed tell the cause of each.", section });
  if (rejections.busy > all / 20) found.push({ level: "warn", text: `${share(rejections.busy)} were turned away: too busy.`, todo: "Is it a flood? Else raise MAX_TURNS or MAX_INFLIGHT_BODY_BYTES, whichever is reached.", section });
  if (rejections.too_often > all / 2) found.push({ level: "warn", text: `${share(rejections.too_often)} came too soon.`, todo: "One client floods it, or all look like one: is the proxy in TRUSTED_PROXIES?", section });
  return found;
}

function waiting(memory) {
  const found = [];
  const section = "Let it find memories by their meaning";
  if (memory.qdrant?.problem) found.push({ level: "warn", text: `Qdrant does not help: ${memory.qdrant.problem}`, todo: "Conversations go on with the index in the database; what changes meanwhile is carried over afterwards.", section: "Lost Qdrant" });
  if (memory.to_learn > 50) found.push({ level: "warn", text: `${some(memory.to_learn, "turn")} wait to be learned from.`, todo: "Does the small model answer? The log's lines learning_failed tell.", section: "Give it a language model" });
  if (memory.vectors?.waiting > 500) found.push({ level: "note", text: `${some(memory.vectors.waiting, "memory", "memories")} wait to be found by their meaning.`, todo: "That takes a while after another model was set. If it does not shrink, the log's lines embedding_failed tell why.", section });
  return found;
}
