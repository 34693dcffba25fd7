// Keeps the page itself, so that it opens without its server, too, and can say so. It keeps nothing else, and nothing of anybody.
//
// The server is asked for the page first, past the browser's own cache: after an upgrade the next load is the new release, however one
// comes to it. What is kept is shown when the server cannot be reached, or says nothing for a while. The page's files are named after
// what they hold: those that are kept are not asked for. `build.rs` says what a release consists of; with another one this file is
// another one, and takes its place.

const CACHE = "companion-{release}";
const FILES = ["{files}"];
const PAGE = "/";
// A network that hangs does not say so.
const PATIENCE_MS = 3000;
// Who stands before the server answers so while it is away; and the server, whoever has asked too often.
const isInstead = (status) => [404, 429].includes(status) || status >= 500;

/** As the server has it. Where something before the server puts a page to sign in at in its place, it is none. */
async function fresh(path) {
  const answer = await fetch(path, { cache: path === PAGE ? "no-cache" : "default" });
  const isPage = async () => (await answer.clone().text()).includes("/static/main.js");
  if (!answer.ok || answer.redirected || (path === PAGE && !(await isPage()))) throw new Error(`${path} is not to be kept`);
  return answer;
}

async function keep() {
  const cache = await caches.open(CACHE);
  // One after the other: whoever talks meanwhile goes first.
  for (const path of [PAGE, ...FILES]) await cache.put(path, await fresh(path));
  await skipWaiting();
}

async function forgetOthers() {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
}

async function kept(path) {
  const cache = await caches.open(CACHE);
  return cache.match(path, { ignoreVary: true });
}

const patience = () => new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));

/** The page as the server has it; as it is kept, if that does not come, or something else does. */
function page(request) {
  const served = fetch(request, { cache: "no-cache" });
  const instead = async () => (await kept(PAGE)) ?? served;
  const fit = (answer) => (isInstead(answer.status) ? instead() : answer);
  return Promise.race([served.then(fit, instead), patience().then(instead)]);
}

const file = async (request, path) => (await kept(path)) ?? fetch(request);

addEventListener("install", (event) => {
  // Where the browser can, what is asked of the server does not even pass by here.
  event.addRoutes?.({ condition: { urlPattern: new URLPattern({ pathname: "/api/*" }) }, source: "network" });
  event.waitUntil(keep());
});
addEventListener("activate", (event) => event.waitUntil(forgetOthers()));
addEventListener("fetch", (event) => {
  const { mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (origin !== location.origin) return;
  if (mode === "navigate" && pathname === PAGE) event.respondWith(page(event.request));
  else if (mode !== "navigate" && FILES.includes(pathname)) event.respondWith(file(event.request, pathname));
});
