// Which charts there are.

import { Chart } from "/static/admin/chart.js";
import { bytes, count } from "/static/admin/words.js";

const inBytes = { unit: bytes, base: 1024 };
const inNumbers = { unit: count };

const CHARTS = [
  {
    id: "chart-disk",
    title: "Disk, by kind",
    kind: "areas",
    ...inBytes,
    series: [
      { name: "database_bytes", label: "database" },
      { name: "log_bytes", label: "log" },
      { name: "audio_bytes", label: "audio" },
      { name: "backup_bytes", label: "backups" },
    ],
  },
  { id: "chart-free", title: "Free on disk", kind: "areas", ...inBytes, series: [{ name: "free_bytes", label: "free" }] },
  {
    id: "chart-database",
    title: "Growth of the database",
    kind: "lines",
    ...inBytes,
    series: [{ name: "database_bytes", label: "database" }],
  },
  { id: "chart-resident", title: "Memory the server holds", kind: "lines", ...inBytes, series: [{ name: "resident_bytes", label: "resident" }] },
  {
    id: "chart-sessions",
    title: "Conversations and people",
    kind: "lines",
    ...inNumbers,
    series: [
      { name: "sessions", label: "sessions" },
      { name: "persons", label: "people" },
    ],
  },
  { id: "chart-memories", title: "Memories", kind: "lines", ...inNumbers, series: [{ name: "memories", label: "memories" }] },
  { id: "chart-turns", title: "Turns answered", kind: "columns", ...inNumbers, series: [{ name: "turns", label: "turns" }] },
  { id: "chart-requests", title: "Requests answered", kind: "columns", ...inNumbers, series: [{ name: "requests", label: "requests" }] },
  {
    id: "chart-failed",
    title: "Requests that failed inside",
    kind: "columns",
    ...inNumbers,
    series: [{ name: "failed_requests", label: "failed" }],
  },
  {
    id: "chart-rejections",
    title: "Rejections, by reason",
    kind: "columns",
    ...inNumbers,
    series: [
      { name: "refused_too_large", label: "too large" },
      { name: "refused_too_slow", label: "too slow" },
      { name: "refused_too_often", label: "too often" },
      { name: "refused_not_let_in", label: "not let in" },
      { name: "refused_busy", label: "busy" },
      { name: "refused_disk_full", label: "disk low" },
      { name: "refused_connections", label: "connections" },
    ],
  },
  {
    id: "chart-cache",
    title: "Files asked for again",
    kind: "columns",
    ...inNumbers,
    series: [
      { name: "static_not_modified", label: "still good (304)" },
      { name: "static_sent", label: "sent anew (200)" },
    ],
  },
  {
    id: "chart-connections",
    title: "Open connections",
    kind: "lines",
    ...inNumbers,
    series: [
      { name: "open_connections", label: "connections" },
      { name: "voice_sockets", label: "voice sockets" },
    ],
  },
];

/** Lets whatever else the page has to do come first. */
const rest = () => new Promise((resolve) => setTimeout(resolve));

/** Puts all charts into `place`; returns what shows trends in them, one after the other; the latest are what is shown. */
export function charts(place) {
  const all = CHARTS.map((about) => new Chart(about));
  let latest;
  place.append(...all.map(({ element }) => element));
  return async (trends) => {
    latest = trends;
    for (const chart of all) {
      await rest();
      if (latest !== trends) return;
      chart.show(trends);
    }
  };
}
