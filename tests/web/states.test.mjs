// Goes through every state of every page, in a hand and on a desk, by day and by night: nothing is too wide, axe finds nothing to
// mend, what is tapped is large enough for a thumb, nothing goes wrong. SCREENSHOTS=<directory> leaves a picture of each.
//
// States lie in `states/`, a file for each part of the page. A file exports `states`, a list of
//   { name, go(guest), settings?, start?, path?, troubles? }
// `go` leads a guest who has just come (to `path`, "/" unless it says otherwise) to the state, and returns when it is there and
// stays. `settings` are the server's, or `start` starts it; states with the same one share a server, and each has a person of its
// own. What goes wrong on purpose is excused by `go`, or by `troubles`, a pattern for it.

import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { isAccessible } from "./accessible.mjs";
import { Guest, launch } from "./guest.mjs";
import { Server } from "./server.mjs";
import { quietMicrophone } from "./silence.mjs";

const DEVICES = [
  { name: "phone", options: { hasTouch: true, isMobile: true }, sizes: [{ width: 320, height: 640 }, { width: 390, height: 844 }] },
  { name: "desktop", options: {}, sizes: [{ width: 1280, height: 800 }, { width: 3840, height: 2160 }] },
];
const SCHEMES = ["light", "dark"];

const files = (await readdir(new URL("states/", import.meta.url))).filter((file) => file.endsWith(".mjs")).sort();
const rooms = await Promise.all(files.map(async (file) => [file.replace(".mjs", ""), (await import(`./states/${file}`)).states]));

const servers = new Map();
let browser;
let microphone;

before(async () => {
  microphone = await quietMicrophone();
  browser = await launch(microphone.flags);
});
after(async () => {
  await browser?.close();
  await microphone?.remove();
  for (const server of servers.values()) await (await server).remove();
});

/** The server with these settings, or the one that is started so. */
function serverOf({ settings = {}, start }) {
  const name = start ?? JSON.stringify(settings);
  if (!servers.has(name)) servers.set(name, start ? start() : Server.start(settings));
  return servers.get(name);
}

/** What is tapped and has less than 44 pixels in one direction. A link in a sentence is as high as its line; where two words about
 * a state stand one above the other, each has half the height. */
const tooSmall = () => {
  const isSmall = (part) => {
    const { width, height } = part.getBoundingClientRect();
    const half = part.matches(".name .label") && innerWidth <= 352;
    return Math.min(width, height) < (half ? 24 : 43.9);
  };
  return [...document.querySelectorAll("a[href], button, summary, textarea, label:has(input), input")]
    .filter((part) => part.checkVisibility() && !(part.localName === "input" && part.closest("label")))
    .filter((part) => getComputedStyle(part).display !== "inline" && isSmall(part))
    .map((part) => `${part.outerHTML.slice(0, 90)} ${JSON.stringify(part.getBoundingClientRect())}`);
};

/** It fits, also a thumb; and where axe is to look `at` it ("all" or "colours"), there is nothing to mend. */
async function isFine(guest, at, isInHand) {
  const wide = await guest.page.evaluate(() =>
    [...document.querySelectorAll("html, main, dialog[open], dialog[open] .body, footer, section, figure, form, .label")]
      .filter((part) => part.scrollWidth > part.clientWidth)
      .map((part) => part.tagName));
  assert.deepEqual(wide, [], "too wide");
  const broken = await guest.page.evaluate(() =>
    [...document.querySelectorAll(".modes button")]
      .filter((part) => part.getBoundingClientRect().height > 1.1 * parseFloat(getComputedStyle(part).minHeight))
      .map((part) => part.textContent.trim()));
  assert.deepEqual(broken, [], "broken into lines");
  if (isInHand) assert.deepEqual(await guest.page.evaluate(tooSmall), [], "too small for a thumb");
  const moving = await guest.page.evaluate(() => document.getAnimations().map(({ animationName, transitionProperty }) => animationName ?? transitionProperty));
  assert.deepEqual(moving, [], "moves, though no motion is wanted");
  if (!at) return;
  await isAccessible(guest.page, at === "all" ? {} : { runOnly: ["color-contrast"] });
}

const paper = (guest) => guest.page.evaluate(() => [document.documentElement, document.body].map((part) => getComputedStyle(part).backgroundColor).join());

async function picture(guest, name) {
  if (!process.env.SCREENSHOTS) return;
  await mkdir(process.env.SCREENSHOTS, { recursive: true });
  await guest.page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
}

for (const [room, states] of rooms) {
  describe(room, () => {
    for (const { name, go, path, troubles, ...where } of states) {
      for (const { name: device, options, sizes } of DEVICES) {
        test(`${name}, on a ${device}`, async () => {
          const server = await serverOf(where);
          const guest = await Guest.arrive(browser, server, { ...options, viewport: sizes[0], reducedMotion: "reduce", permissions: ["microphone"] });
          try {
            await guest.page.goto(server.origin + (path ?? "/"));
            await go(guest);
            const papers = new Set();
            for (const size of sizes) {
              await guest.page.setViewportSize(size);
              for (const colorScheme of SCHEMES) {
                await guest.page.emulateMedia({ colorScheme });
                papers.add(await paper(guest));
                await picture(guest, `${room}-${name}-${size.width}-${colorScheme}`.replaceAll(" ", "-"));
                await isFine(guest, size === sizes[0] && (colorScheme === "light" ? "all" : "colours"), options.hasTouch);
              }
            }
            assert.equal(papers.size, SCHEMES.length, "the paper by day and by night");
            await guest.leave(troubles);
          } catch (error) {
            await guest.context.close();
            throw error;
          }
        });
      }
    }
  });
}
