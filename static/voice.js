// The controls of the voice. What they need is fetched when one of them is used for the first time.

const KEPT = "companion.aloud";
/** Escape is theirs first. */
export const OPEN = CSS.supports("selector(:popover-open)") ? "dialog[open], :popover-open" : "dialog[open]";

function keptAloud() {
  try {
    return localStorage.getItem(KEPT) === "yes";
  } catch {
    return false;
  }
}

function keepAloud(wanted) {
  try {
    localStorage.setItem(KEPT, wanted ? "yes" : "no");
  } catch {}
}

/** The buttons and the panel of the voice, for a page that is `host` (see `Talk`) and `loads` modules. */
export class Voice {
  #controls;
  #host;
  #load;
  #sound = null;
  #talk = null;
  #loading = null;
  #aloud = keptAloud();
  #hears = false;

  constructor(controls, host, load) {
    this.#controls = controls;
    this.#host = { ...host, changed: () => this.#show() };
    this.#load = load;
    this.#bindTalk(controls.talk);
    controls.handsFree.addEventListener("click", () => this.#with((talk) => talk.listen(!talk.handsFree)));
    controls.aloud.addEventListener("click", () => this.#readAloud(!this.#aloud));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || document.querySelector(OPEN) || !this.#talk?.active) return;
      event.preventDefault();
      this.#talk.stop();
    });
    addEventListener("pagehide", () => this.#talk?.away());
    this.#show();
  }

  /** What this server can now: without ears there is nothing to talk to. Whoever is talking can end that. */
  offer({ hears }) {
    this.#hears = hears;
    this.#show();
  }

  /** Somebody speaks or is listened to, or something is being said. */
  get active() {
    return this.#talk?.active ?? false;
  }

  /** Whoever types may not want to hear the rest of an answer. */
  typed() {
    if (this.#aloud) this.#unlock();
    this.#talk?.hush();
  }

  /** Reads the answer to a typed turn, if that is wanted: returns what `Talk.readAloud` does. */
  async reader(session, reply) {
    if (!this.#aloud) return null;
    const talk = await this.#loaded();
    return talk?.readAloud(session, reply) ?? null;
  }

  /** The browser can read by itself. */
  get hasOwn() {
    return typeof speechSynthesis !== "undefined";
  }

  /** Says an answer again; `reply` points at what is said, `onEnd` hears the end. Returns what ends it before. */
  async hear(session, text, sound, reply, onEnd) {
    await this.#with((talk) => talk.hearAgain(session, text, sound, reply, onEnd));
    return () => this.#talk?.hush();
  }

  /** The page turns to another conversation. */
  leave() {
    this.#talk?.leave();
  }

  #bindTalk(button) {
    const press = () => this.#with((talk) => talk.press());
    const release = () => this.#with((talk) => talk.release());
    let pressed = false;
    const down = () => {
      pressed = true;
      press();
    };
    const up = () => {
      if (!pressed) return;
      pressed = false;
      release();
    };
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      down();
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(name, up);
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    const isPress = ({ key }) => key === " " || key === "Enter";
    button.addEventListener("keydown", (event) => {
      if (!isPress(event)) return;
      event.preventDefault();
      if (!event.repeat && !pressed) down();
    });
    button.addEventListener("keyup", (event) => {
      if (!isPress(event)) return;
      event.preventDefault();
      up();
    });
    // A screen reader or a voice command clicks without pointer or key: that is a tap.
    button.addEventListener("click", (event) => {
      if (event.detail !== 0 || pressed) return;
      press();
      release();
    });
  }

  async #readAloud(wanted) {
    this.#aloud = wanted;
    keepAloud(wanted);
    this.#show();
    if (wanted) await this.#with(() => {});
    else this.#talk?.hush();
  }

  /** Does something with the voice. Calls keep their order, also while it is still being fetched. */
  async #with(act) {
    this.#unlock();
    const talk = await this.#loaded();
    if (talk) await act(talk);
    this.#show();
  }

  async #loaded() {
    this.#loading ??= this.#load(import("/static/voice/talk.js"));
    try {
      const { Talk } = await this.#loading;
      this.#talk ??= new Talk(this.#unlock(), this.#controls, this.#host);
      return this.#talk;
    } catch (failure) {
      this.#loading = null;
      this.#host.note(failure.message);
      return null;
    }
  }

  /** Phones let a page sound only from a tap on: this one. */
  #unlock() {
    this.#sound ??= new AudioContext({ latencyHint: "interactive" });
    if (this.#sound.state !== "running") this.#sound.resume();
    return this.#sound;
  }

  #show() {
    const { handsFree, aloud, talk } = this.#controls;
    talk.hidden = handsFree.hidden = !this.#hears && !this.active;
    handsFree.setAttribute("aria-pressed", String(this.#talk?.handsFree ?? false));
    aloud.setAttribute("aria-pressed", String(this.#aloud));
    talk.classList.toggle("on", this.#talk?.records ?? false);
  }
}
