// Another device becomes the same person: a link, the same as a QR code, and how long it can be used.

import * as api from "/static/api.js";
import { copyOnClick } from "/static/mine/copying.js";
import { oneAtATime } from "/static/one-at-a-time.js";
import { isOfThisMachine } from "/static/words.js";

const LOOK_EVERY_MS = 2000;

/** What is left of so many milliseconds, as a clock shows it. */
const clock = (ms) => `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;

/** The image the server has drawn: a document of its own, taken in without being read as a page. */
function drawn(svg) {
  const image = document.importNode(new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, true);
  image.setAttribute("role", "img");
  image.setAttribute("aria-label", "The link as a QR code");
  return image;
}

/** Sets the part of the dialog up. Returns what puts it back as it was. */
export function anotherDevice(part, attempt) {
  const make = part.querySelector(".make");
  const made = part.querySelector(".made");
  const field = made.querySelector("input");
  const left = made.querySelector(".left");
  const told = part.querySelector(".told");
  const copied = copyOnClick(made.querySelector("button"), field);
  let timer = null;

  function end(text = "") {
    clearInterval(timer);
    timer = null;
    made.hidden = true;
    field.value = "";
    made.querySelector(".qr").replaceChildren();
    copied();
    told.textContent = text;
  }

  make.onclick = oneAtATime(() => attempt(async () => {
    const { browsers } = await api.me();
    const asked = performance.now();
    const { link, seconds: life, qr_svg: svg } = await api.makeLink();
    end();
    show(link, svg);
    watch(asked + life * 1000, browsers);
  }));

  function show(link, svg) {
    field.value = link;
    made.querySelector(".here-only").hidden = !isOfThisMachine(link);
    made.querySelector(".qr").replaceChildren(drawn(svg));
    made.hidden = false;
    make.textContent = "Show another link";
    made.scrollIntoView({ block: "nearest" });
  }

  function watch(ends, before) {
    let looking = performance.now();
    const tick = async () => {
      const now = performance.now();
      if (now >= ends) return end("The link has expired. It was not used.");
      left.textContent = `It works once, for another ${clock(ends - now)}.`;
      if (now - looking < LOOK_EVERY_MS) return;
      looking = now;
      const mine = timer;
      // Not to be reached for a moment is no reason to take the link away.
      const { browsers } = await api.me().catch(() => ({ browsers: before }));
      if (mine === timer && browsers > before) end("Done: one more browser is you now.");
    };
    timer = setInterval(tick, 1000);
    tick();
  }

  make.textContent = "Show a link";
  end();
  return () => end();
}
