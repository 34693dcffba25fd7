// Learns how loud the microphone hears what the page plays, so that the page is never taken for the person.

import { FRAME_MS } from "/static/voice/activity.js";

// From the loudspeaker through the air and back takes no longer.
const DELAY_FRAMES = 400 / FRAME_MS;
const REMEMBERED_FRAMES = 2000 / FRAME_MS;
const ENOUGH_FRAMES = 500 / FRAME_MS;
// Below this the page is as good as silent.
const AUDIBLE = -50;
// An echo so far above the room's own noise has not been cancelled; once it is known to be, it has to fall further.
const FAILS = 15;
const WORKS = 9;
// Until it has been heard, the page may come back as loud as it is; and whenever it begins to speak, cancellation needs as long
// to find its way.
const UNKNOWN = 0;

/** The echo of what the page plays. All levels are in decibels of full scale. */
export class Echo {
  #played = [];
  // In the order in which they came, and by size.
  #leaks = [];
  #sorted = [];
  // For how many frames the page has been heard without a break.
  #since = 0;
  #failed = false;

  /** How loud the page may be heard just now. */
  get expected() {
    const loudest = this.#loudest();
    return loudest > AUDIBLE ? loudest + (this.#isKnown ? this.#leak : UNKNOWN) : -Infinity;
  }

  /** Echo cancellation does not do its work: while the page speaks, the microphone cannot be believed. */
  get failed() {
    return this.#failed;
  }

  /** What plays just now; to be told for every frame, silent ones too. */
  plays(level) {
    this.#played.push(level);
    if (this.#played.length > DELAY_FRAMES) this.#played.shift();
    this.#since = this.#loudest() > AUDIBLE ? this.#since + 1 : 0;
  }

  /** What the microphone hears meanwhile. Not to be told while it may be the person. */
  learn(heard, floor) {
    const loudest = this.#loudest();
    if (loudest <= AUDIBLE) return;
    this.#remember(heard - loudest);
    if (!this.#isKnown) return;
    const above = loudest + this.#leak - floor;
    this.#failed = above > (this.#failed ? WORKS : FAILS);
  }

  #loudest() {
    return Math.max(-Infinity, ...this.#played);
  }

  get #isKnown() {
    return this.#leaks.length >= ENOUGH_FRAMES && this.#since >= ENOUGH_FRAMES;
  }

  /** What is lost on the way: three of four frames have lost at least so much. */
  get #leak() {
    return this.#sorted[Math.floor(this.#sorted.length * 0.75)];
  }

  #remember(leak) {
    this.#leaks.push(leak);
    this.#sorted.splice(this.#place(leak), 0, leak);
    if (this.#leaks.length > REMEMBERED_FRAMES) this.#sorted.splice(this.#place(this.#leaks.shift()), 1);
  }

  /** Where the first that is not smaller lies. */
  #place(leak) {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle] < leak) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
