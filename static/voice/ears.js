// Listens: while a button is held, after a tap until silence, or hands-free whenever somebody speaks.

import { Activity, FRAME_MS, SILENCE_MS } from "/static/voice/activity.js";
import { Echo } from "/static/voice/echo.js";
import { NoMicrophone, open } from "/static/voice/microphone.js";
import { Recording } from "/static/voice/recorder.js";

// A shorter press is a tap.
const TAP_MS = 350;
// Sound has to go on for so long to be speech; for longer where it would interrupt.
const BEGINS_MS = 100;
const INTERRUPTS_MS = 250;
// A sound too short to be speech may have been the first word. It is kept for so long, and no longer than that in all, however many
// sounds follow each other.
const KEPT_MS = 500;
const KEPT_IN_ALL_MS = 3000;
// Someone who taps and then says nothing has changed their mind.
const NOTHING_SAID_MS = 8000;
const LONGEST_MS = 120_000;
// Until then the next words find the microphone open.
const CLOSES_AFTER_MS = 20_000;

/**
 * `mouth` is what may be heard as well. `on` hears: `level` how loud it is; `maybe` and `nothing` that somebody may be
 * speaking, and was not; `pressed` that somebody is going to speak; `begins` that somebody speaks, whether that goes on what
 * was too long for one recording, and returns where the recording goes; `ending` that they have ended, or whether it was too
 * long; `givesUp` that nothing was said; `trouble` a word to the person; `changed`.
 */
export class Ears {
  #sound;
  #mouth;
  #on;
  #microphone = null;
  #opening = null;
  #closing;
  #activity = new Activity();
  #echo = new Echo();
  #free = false;
  #down = false;
  #recording = null;
  // Where it goes, once it is sure to be wanted; and how it began: "held", "tapped" or "free".
  #goal = null;
  #how = null;
  #since = 0;
  #lasts = 0;
  // For how long there has been nothing since what may have been the first word.
  #unheard = 0;
  #spoke = false;
  // The last recording was too long, and there has been no end of a turn since.
  #goesOn = false;

  constructor(sound, mouth, on) {
    this.#sound = sound;
    this.#mouth = mouth;
    this.#on = on;
  }

  /** "off", "opening", "listening", or how somebody speaks: "held", "tapped", "free". */
  get state() {
    if (this.#how) return this.#how;
    if (this.#opening) return "opening";
    return this.#free ? "listening" : "off";
  }

  get free() {
    return this.#free;
  }

  /** While the page speaks, the microphone cannot be believed. */
  get deaf() {
    if (!this.#mouth.sounding) return false;
    return this.#mouth.isUncancelled || !this.#microphone?.cancelsEcho || this.#echo.failed;
  }

  /** The button goes down. */
  async press() {
    if (this.#how === "tapped") return this.finish();
    this.#down = true;
    if (this.#how) {
      this.#how = "held";
      return this.#on.changed();
    }
    this.#forgetMaybe();
    if (!this.#goesOn) this.#on.pressed();
    if ((await this.#open()) && !this.#how) this.#beginNow();
    this.#on.changed();
  }

  /** The button comes up. */
  release() {
    this.#down = false;
    if (this.#how !== "held") return;
    // By the clock: on a phone nothing is measured before the first finger is up again.
    if (performance.now() - this.#since < TAP_MS) this.#listenOn();
    else this.finish();
  }

  /** Somebody is being recorded. */
  get speaking() {
    return this.#how !== null;
  }

  /** Listens whenever somebody speaks. Returns whether it does. */
  async listen(wanted) {
    if (!wanted && this.#how === "free") this.finish();
    if (!wanted) this.#forgetMaybe();
    this.#free = wanted && (await this.#open());
    if (!this.#free) this.#closeSoon();
    this.#on.changed();
    return this.#free;
  }

  /** It is too long for one recording. Hands-free, what is said next goes on with it. */
  breakOff() {
    this.#goesOn = this.#free;
    this.#unheard = 0;
    return this.finish(0, true);
  }

  /** What was said is complete, or too long; the last so many milliseconds were silence. */
  async finish(silent = 0, isTooLong = false) {
    const [recording, goal] = [this.#recording, this.#goal];
    if (!goal) return;
    this.#forget();
    this.#on.ending(isTooLong);
    await recording.finish(silent);
    goal.end();
  }

  /** What was said is not wanted. */
  discard() {
    this.#recording?.discard();
    this.#forget();
    this.#on.changed();
  }

  #forget() {
    this.#recording = null;
    this.#goal = null;
    this.#how = null;
    this.#activity.reset();
    this.#closeSoon();
  }

  #forgetMaybe() {
    if (!this.#recording || this.#goal) return;
    this.discard();
    this.#on.nothing();
  }

  async #open() {
    clearTimeout(this.#closing);
    if (this.#microphone) return true;
    this.#opening ??= open(
      this.#sound,
      this.#mouth.output,
      (heard, played) => this.#hear(heard, played),
      () => this.#lose(),
    );
    this.#on.changed();
    try {
      this.#microphone = await this.#opening;
      return true;
    } catch (error) {
      if (!(error instanceof NoMicrophone)) throw error;
      this.#on.trouble(error.message);
      return false;
    } finally {
      this.#opening = null;
    }
  }

  #closeSoon() {
    clearTimeout(this.#closing);
    this.#closing = setTimeout(() => {
      if (this.#free || this.#how || this.#down) return;
      this.#microphone?.close();
      this.#microphone = null;
    }, CLOSES_AFTER_MS);
  }

  #lose() {
    this.#microphone?.close();
    this.#microphone = null;
    this.finish();
    this.listen(false);
    this.#on.trouble("The microphone has gone. Connect it again, then go on.");
  }

  #beginNow() {
    this.#recording = new Recording(this.#microphone.now);
    this.#begin("held");
    // It took so long to be allowed in that the button is up again.
    if (!this.#down) this.#listenOn();
  }

  #begin(how) {
    this.#how = how;
    this.#since = performance.now();
    this.#lasts = 0;
    this.#goal = this.#on.begins(this.#goesOn);
    this.#goesOn = false;
    this.#recording.send(this.#goal.piece);
    this.#on.changed();
  }

  #listenOn() {
    this.#how = "tapped";
    this.#spoke = false;
    this.#activity.reset();
    this.#on.changed();
  }

  /** The next 20 ms. */
  #hear(level, played) {
    this.#echo.plays(played);
    this.#on.level(level);
    this.#lasts += FRAME_MS;
    if (this.#how && this.#lasts >= LONGEST_MS) return this.breakOff();
    if (this.#how === "held" || !(this.#how || this.#free)) return;
    if (this.deaf && !this.#how) return this.#hearOnlyEcho(level);
    const sustained = this.#mouth.busy ? INTERRUPTS_MS : BEGINS_MS;
    const heard = this.#activity.hear(level, { sustained, echo: this.#echo.expected });
    if (!this.#activity.hears) this.#echo.learn(level, this.#activity.floor);
    if (this.#how === "tapped") this.#followTapped(heard);
    else this.#follow(heard);
  }

  #hearOnlyEcho(level) {
    this.#echo.learn(level, this.#activity.floor);
    this.#activity.reset();
    this.#forgetMaybe();
  }

  #followTapped(heard) {
    if (heard === "speaking") this.#spoke = true;
    if (heard === "ended") return this.finish(SILENCE_MS);
    if (this.#spoke || this.#lasts < NOTHING_SAID_MS) return;
    this.discard();
    this.#on.givesUp();
  }

  #follow(heard) {
    if (heard === "maybe") this.#record();
    if (heard === "nothing") this.#on.nothing();
    if (heard === "speaking") this.#begin("free");
    if (heard === "ended") this.finish(SILENCE_MS);
    this.#unheard = this.#activity.hears ? 0 : this.#unheard + FRAME_MS;
    if (this.#unheard >= SILENCE_MS) this.#goesOn = false;
    if (this.#unheard >= KEPT_MS || this.#lasts >= KEPT_IN_ALL_MS) this.#forgetMaybe();
  }

  /** From before it was noticed; or on, where the sound before it may have been the first word. */
  #record() {
    if (!this.#recording) {
      this.#recording = new Recording(this.#microphone.late, this.#microphone.lateMs);
      this.#lasts = 0;
    }
    this.#on.maybe();
  }
}
