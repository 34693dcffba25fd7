// Keeps the page itself, so that it opens without its server, too, and can say so. It keeps nothing else, and nothing of anybody.
//
// The network comes first: after an upgrade the next load is the new release. `build.rs` says what a release consists of; with another
// one this file is another one, and takes its place.

const CACHE = "companion-{release}";
const FILES = ["{files}"];
const PAGE = "/";

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
  return (await cache.match(path, { ignoreVary: true })) ?? Response.error();
}

addEventListener("install", (event) => {
  // Where the browser can, what is asked of the server does not even pass by here.
  event.addRoutes?.({ condition: { urlPattern: new URLPattern({ pathname: "/api/*" }) }, source: "network" });
  event.waitUntil(keep());
});
addEventListener("activate", (event) => event.waitUntil(forgetOthers()));
addEventListener("fetch", (event) => {
  const { mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  const isKept = mode === "navigate" ? pathname === PAGE : FILES.includes(pathname);
  if (origin === location.origin && isKept) event.respondWith(fetch(event.request).catch(() => kept(pathname)));
});
