// What is told in words: what needs attention, maintenance, the disk, backups, memory, services.

import { anchor } from "/static/admin/anchor.js";
import { attention, summary } from "/static/admin/attention.js";
import { facts, html } from "/static/admin/page.js";
import { ago, bytes, count, some } from "/static/admin/words.js";

const HANDBOOK = "deploy/README.md";

/** The same page with other words is left alone where the words are the same: whoever has marked some keeps them. */
function put(id, ...parts) {
  const place = document.querySelector(`#${id} > div`);
  const made = html("div", {}, ...parts);
  if (place.innerHTML !== made.innerHTML) place.replaceChildren(...made.childNodes);
}

export function panels(status, memory) {
  health(status, memory);
  jobs(status);
  next(status);
  disk(status);
  backups(status);
  remembered(memory);
  services(status);
}

function health(status, memory) {
  const found = attention(status, memory);
  const level = found[0]?.level ?? "well";
  document.getElementById("health").dataset.level = level;
  const items = found.map(({ level: how, text, todo, command, section }) =>
    html(
      "li",
      { class: how },
      html("p", {}, text, " ", todo),
      html("p", { class: "fine" }, ...(command ? [html("code", {}, command), " · "] : []), "Handbook: ", html("code", {}, `${HANDBOOK}#${anchor(section)}`)),
    ));
  put("health", html("p", { class: "summary" }, summary(found, status)), items.length ? html("ul", {}, ...items) : null);
}

function jobs({ now, last_runs: runs }) {
  const rows = runs.map((run) => {
    const never = run.outcome === "never";
    const freed = run.bytes_reclaimed === null ? null : `freed ${bytes(run.bytes_reclaimed)}`;
    const success = !never && run.outcome !== "succeeded" ? `last success ${ago(run.last_success, now)}` : null;
    const told = [never ? null : ago(run.started_at, now), freed, success].filter(Boolean);
    return html(
      "li",
      {},
      html("b", {}, run.job),
      html("span", { class: `outcome ${run.outcome}` }, never ? "never ran" : run.outcome),
      run.overdue ? html("span", { class: "outcome failed" }, "overdue") : null,
      html("span", { class: "fine" }, told.join(", ")),
    );
  });
  put("jobs", html("ul", { class: "rows" }, ...rows));
}

/** Each job takes what it counts, and not what another one counts. */
const toldBy = (job) => html("p", { class: "fine" }, html("code", {}, `companion-maint ${job} --dry-run`), " tells the same.");

function next(status) {
  const { next_cleanup_counted: counted } = status;
  const of = (what) => (counted ? count(status[`next_cleanup_${what}`]) : "not counted in time");
  const files = status.next_cleanup_audio_files;
  put(
    "next",
    facts([
      ["Sessions", counted ? `${of("sessions")} (${some(status.next_cleanup_checkpoints, "turn")})` : of("sessions")],
      ["Memories", of("memories")],
      ["People", of("persons")],
    ]),
    toldBy("cleanup-sessions"),
    facts([["Audio files", files ? `${count(files)} (${bytes(status.next_cleanup_audio_bytes)})` : "0"]]),
    toldBy("cleanup-audio"),
  );
}

function disk({ disk: all }) {
  put(
    "disk",
    facts([
      ["Database", `${bytes(all.database_bytes)}, log ${bytes(all.log_bytes)}`],
      ["Audio", `${bytes(all.audio_bytes)} in ${some(all.audio_files, "file")}`],
      ["Backups", bytes(all.backup_bytes)],
      ["Set aside by restores", bytes(all.set_aside_bytes)],
      ["The page's files", bytes(all.asset_bytes)],
      ["Reserve", bytes(all.reserve_bytes)],
      ["Free", bytes(all.free_bytes)],
    ]),
  );
}

function backups({ now, disk: all, newest_backup: name, newest_backup_at: at, last_runs: runs }) {
  const verified = runs.find(({ job }) => job === "verify-backups");
  put(
    "backups",
    facts([
      ["Kept", `${some(all.backups, "backup")}, ${bytes(all.backup_bytes)}`],
      ["Newest", at ? `${ago(at, now)}; it was verified when it was made` : "none"],
      ["All read and verified", verified?.last_success ? ago(verified.last_success, now) : "never"],
      ["Where", all.backups_share_the_databases_disk ? "on the database's disk" : "on another disk"],
      all.backups_free_bytes !== null && ["Free there", bytes(all.backups_free_bytes)],
    ]),
    name ? html("p", { class: "fine" }, html("code", {}, name)) : null,
  );
}

function copied({ problem, whole }) {
  if (problem) return problem;
  return whole ? "holds all, but for what waits" : "is being filled";
}

function remembered({ memories, index, to_learn: waiting, vectors, outbox, qdrant }) {
  put(
    "memory",
    facts([
      ["Memories", count(memories)],
      ["Found by", index === "embedded" ? "the index in the database" : index],
      ["Turns to be learned from", count(waiting)],
      ["Meaning", vectors ? `${vectors.model}; ${some(vectors.waiting, "memory", "memories")} to come` : "words alone: no model is set"],
      qdrant && ["Qdrant", copied(qdrant)],
      qdrant && ["Changes that wait for it", count(outbox.changes)],
    ]),
  );
}

function services({ upstreams }) {
  const rows = upstreams.map(({ name, state, circuit, calls, connections, most_connections: most }) => {
    const failed = Object.entries(calls).filter(([end, times]) => times > 0 && !["answered", "left"].includes(end));
    const told = [
      `${some(calls.answered, "call")} answered`,
      ...failed.map(([end, times]) => `${count(times)} ${end.replaceAll("_", " ")}`),
      `${count(connections)} of ${some(most, "connection")}`,
    ];
    const good = state === "connected" && circuit === "closed";
    return html(
      "li",
      {},
      html("b", {}, name),
      html("span", { class: `outcome ${good ? "succeeded" : "failed"}` }, state.replaceAll("_", " ")),
      circuit === "closed" ? null : html("span", { class: "outcome failed" }, `breaker ${circuit.replaceAll("_", " ")}`),
      html("span", { class: "fine" }, told.join(", ")),
    );
  });
  put("services", rows.length ? html("ul", { class: "rows" }, ...rows) : html("p", {}, "None is set up: nothing leaves this machine."));
}
