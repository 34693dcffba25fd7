// The admin page: asks how the server is, at once and every 30 s while somebody looks, and shows it.

import { charts } from "/static/admin/charts.js";
import { panels } from "/static/admin/panels.js";
import * as server from "/static/admin/server.js";
import { span as length, time } from "/static/admin/words.js";

const EVERY_MS = 30_000;

const main = document.getElementById("main");
const fresh = document.getElementById("fresh");
const problem = document.getElementById("problem");
const spans = document.getElementById("span");

const showTrends = charts(document.getElementById("charts"));

let timer;
let asked = 0;
let seen = null;
let shown;

async function refresh() {
  clearTimeout(timer);
  asked += 1;
  const mine = asked;
  try {
    const [status, memory] = await Promise.all([server.status(wanted().value), server.memory()]);
    // Whoever has asked for another span meanwhile wants that.
    if (mine !== asked) return;
    panels(status, memory);
    await showTrends(status.trends);
    if (mine !== asked) return;
    main.hidden = false;
    seen = new Date();
    shown = status.trends.span;
    fresh.textContent = `As of ${time(seen)}`;
    tell("");
  } catch (failure) {
    if (!(failure instanceof server.Failure)) throw failure;
    if (failure.signIn) return location.replace(failure.signIn);
    if (mine !== asked) return;
    tell(`${failure.message}${old()} It is asked again every 30 s.`);
  }
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

const wanted = () => spans.querySelector(":checked");

/** What is on the page, when that is not of now. */
function old() {
  if (!seen) return "";
  const of = wanted().value === shown ? "" : `of the last ${spans.querySelector(`[value="${shown}"]`).parentElement.textContent.trim()}, and `;
  return ` What you see is ${of}${length(Date.now() - seen)} old.`;
}

/** Says what is wrong; what is on the page is old then. */
function tell(words) {
  main.classList.toggle("stale", words !== "");
  if (problem.textContent !== words) problem.textContent = words;
}

spans.addEventListener("change", refresh);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else refresh();
});

document.getElementById("sign-out").addEventListener("click", async () => {
  try {
    await server.signOut();
    location.replace("/admin/sign-in");
  } catch (failure) {
    if (!(failure instanceof server.Failure)) throw failure;
    tell(failure.message);
  }
});

refresh();
