// Tells from the loudness of sound whether somebody speaks. Levels in, events out: no microphone, no clock.

/** So much sound lies behind each level. */
export const FRAME_MS = 20;

/** After so much silence somebody has ended. */
export const SILENCE_MS = 700;
// A shorter gap is part of a word.
const GAP_MS = 120;

// What goes on belongs together so far back; and what is so much quieter than the loudest of it is only the room that rings,
// or a filter: a cough of 150 ms leaves microphones as 250 ms of sound.
const RECENT_FRAMES = 500 / FRAME_MS;
const RINGS = 20;

// Decibels above the floor, or above the echo, at which speech begins, and below which it pauses.
const BEGINS = 12;
const PAUSES = 8;

const BLOCK_FRAMES = 300 / FRAME_MS;
const BLOCKS = 10;
const QUIETEST_FLOOR = -70;
const LOUDEST_FLOOR = -30;
// What a room is taken for before it is known.
const FIRST_FLOOR = -50;

/** The loudness of the room without speech: the quietest of the last three seconds. Speech has pauses, a fan has none. */
export class Floor {
  #blocks = [FIRST_FLOOR];
  #lowest = Infinity;
  #frames = 0;

  get level() {
    return Math.min(LOUDEST_FLOOR, Math.max(QUIETEST_FLOOR, Math.min(this.#lowest, ...this.#blocks)));
  }

  learn(level) {
    this.#lowest = Math.min(this.#lowest, level);
    this.#frames += 1;
    if (this.#frames < BLOCK_FRAMES) return;
    this.#blocks.push(this.#lowest);
    if (this.#blocks.length > BLOCKS) this.#blocks.shift();
    this.#lowest = Infinity;
    this.#frames = 0;
  }
}

/**
 * Follows speech through its levels. Each gives one of these, or nothing:
 * "maybe" (something begins), "speaking" (it goes on, so it is speech), "nothing" (it was a cough), "ended" (700 ms of silence).
 */
export class Activity {
  #floor = new Floor();
  #state = "quiet";
  // The last levels since it began; nothing where it paused.
  #recent = [];
  #silent = 0;

  get floor() {
    return this.#floor.level;
  }

  /** Something is heard that is or may be speech. */
  get hears() {
    return this.#state !== "quiet";
  }

  /** Forgets what was just heard, but not the room. */
  reset() {
    this.#enter("quiet");
  }

  /**
   * The next level, in decibels of full scale. `sustained` is for how many milliseconds sound has to go on to be speech,
   * `echo` how loud the page itself may be heard just now. The floor is learned only where there is no echo.
   */
  hear(level, { sustained = 100, echo = -Infinity } = {}) {
    if (echo < this.floor) this.#floor.learn(level);
    const above = this.#state === "quiet" ? BEGINS : PAUSES;
    const voiced = level > Math.max(this.floor, echo) + above;
    this.#silent = voiced ? 0 : this.#silent + FRAME_MS;
    this.#recent.push(voiced ? level : -Infinity);
    if (this.#recent.length > RECENT_FRAMES) this.#recent.shift();
    return this.#next(voiced, sustained);
  }

  #next(voiced, sustained) {
    if (this.#state === "quiet" && voiced) {
      this.#enter("maybe", this.#recent.slice(-1));
      return "maybe";
    }
    if (this.#state === "maybe" && this.#sustained >= sustained) {
      this.#enter("speaking");
      return "speaking";
    }
    if (this.#state === "maybe" && this.#silent >= GAP_MS) {
      this.#enter("quiet");
      return "nothing";
    }
    if (this.#state === "speaking" && this.#silent >= SILENCE_MS) {
      this.#enter("quiet");
      return "ended";
    }
    return null;
  }

  /** For how many milliseconds it has been loud. */
  get #sustained() {
    const least = Math.max(...this.#recent) - RINGS;
    return FRAME_MS * this.#recent.filter((level) => level > least).length;
  }

  #enter(state, recent = []) {
    this.#state = state;
    this.#recent = recent;
    this.#silent = 0;
  }
}
