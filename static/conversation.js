// Shows a conversation. It knows nothing of the server.

/** An element with a text. Whatever people and the companion say enters the page here, as text only. */
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** What somebody wrote, which runs the way its own script does. */
export function written(tag, className, text) {
  const made = element(tag, className, text);
  made.dir = "auto";
  return made;
}

/** A button with what it does. */
export function button(label, className, onClick) {
  const made = element("button", className, label);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

/** An icon that the page has drawn. */
export function icon(name) {
  const [drawn, use] = ["svg", "use"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  drawn.classList.add("icon");
  drawn.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  drawn.append(use);
  return drawn;
}

// Those before them are laid out only while they are in sight.
const LATEST = 40;

const SPEAKERS = { user: "You said:", assistant: "Companion said:" };

function message(role, text) {
  const shown = element("article", `message ${role}`);
  shown.append(element("h2", "unseen", SPEAKERS[role]), written("p", "words", text));
  return shown;
}

const says = (shown, { role, text } = {}) => shown.classList.contains(role) && shown.querySelector(".words").textContent === text;

/** What can point at the sentence that is being said: each after the one before; at none for null. */
export function pointer(words) {
  let pointed = 0;
  return (sentence) => {
    pointed = point(words.firstChild, sentence, pointed);
  };
}

/** Marks a sentence in a text, from `from` on, where the browser can; returns where it ends. */
function point(text, sentence, from) {
  if (typeof Highlight === "undefined") return 0;
  CSS.highlights.delete("said");
  const at = text && sentence ? text.data.indexOf(sentence, from) : -1;
  if (at < 0) return from;
  const range = new Range();
  range.setStart(text, at);
  range.setEnd(text, at + sentence.length);
  CSS.highlights.set("said", new Highlight(range));
  return at + sentence.length;
}

/** The messages in `log`, scrolled by `view`; where little height is, the whole page scrolls. */
export class Conversation {
  #log;
  #view;
  #onAnswer;
  #latest = null;
  // Someone who has scrolled up to read is left there.
  #followsEnd = true;

  /** `onAnswer` gets each whole answer as it stands there, and what is known of it: `{ text, audio, memories }`. */
  constructor(log, view, onAnswer) {
    this.#log = log;
    this.#view = view;
    this.#onAnswer = onAnswer;
    let before = { top: 0, most: 0 };
    const onScroll = () => {
      const { scrollTop: top, scrollHeight, clientHeight } = this.#scroller;
      const most = scrollHeight - clientHeight;
      if (most - top < 48) this.#followsEnd = true;
      // Where nothing has changed its height, it was a person who scrolled up.
      else if (top < before.top && most === before.most) this.#followsEnd = false;
      before = { top, most };
    };
    for (const scrolled of [view, document]) scrolled.addEventListener("scroll", onScroll);
    // What appears below the conversation takes room; whoever reads its end goes on reading it.
    new ResizeObserver(() => this.#keepingTheEnd(() => {})).observe(view);
  }

  get #scroller() {
    return getComputedStyle(this.#view).overflowY === "visible" ? document.scrollingElement : this.#view;
  }

  /** Shows the end, and goes on following it; of one in which nothing was said the beginning, where the greeting is. */
  goToEnd() {
    this.#followsEnd = true;
    const scroller = this.#scroller;
    if (this.#view.classList.contains("begun")) scroller.scrollTop = scroller.scrollHeight;
  }

  clear() {
    this.#log.replaceChildren();
    this.#view.classList.remove("begun", "unused");
    this.#log.removeAttribute("aria-busy");
  }

  /** It was begun before, and nothing was said in it. */
  showUnused() {
    this.#view.classList.add("unused");
  }

  /** Shows a page of messages before those already there, which stay where the reader sees them. */
  showEarlier(messages) {
    const scroller = this.#scroller;
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    this.#log.prepend(...messages.map((each) => this.#earlier(each)));
    this.#leave(0, messages.length);
    if (!this.#latest?.isConnected) this.#lastIsLatest();
    if (messages.length > 0) this.#view.classList.add("begun");
    scroller.scrollTop = scroller.scrollHeight - fromEnd;
  }

  /**
   * Shows what was said after the messages that came as earlier ones, here or elsewhere. Words that stand here already stay as they
   * are; from the first that differ on, these take their place.
   */
  showLater(messages) {
    const here = [...this.#log.querySelectorAll(".said-here")];
    const differs = here.findIndex((shown, at) => !says(shown, messages[at]));
    const stay = differs < 0 ? here.length : differs;
    this.#keepingTheEnd(() => {
      for (const shown of here.slice(0, stay)) shown.classList.remove("said-here");
      for (const shown of here.slice(stay)) shown.remove();
      this.#log.append(...messages.slice(stay).map((each) => this.#earlier(each)));
    });
    this.#leave(0, this.#log.childElementCount);
    this.#lastIsLatest();
    if (messages.length > 0) this.#view.classList.add("begun");
  }

  /** Adds what the person said, or a greeting. */
  say(role, text) {
    const shown = message(role, text);
    shown.classList.toggle("greeting", role === "assistant");
    return this.#add(shown);
  }

  /** Begins what somebody says aloud, before it is understood. */
  listen() {
    const shown = message("user", "");
    const words = shown.querySelector(".words");
    shown.classList.add("waiting");
    this.#add(shown);
    return {
      hear: (text, isFinal) => this.#keepingTheEnd(() => {
        words.textContent = text;
        shown.classList.toggle("waiting", !isFinal);
      }),
      /** It is complete; nothing understood is shown as `instead`, or not at all. */
      end: (instead = "") => this.#keepingTheEnd(() => {
        shown.classList.remove("waiting");
        words.textContent ||= instead;
        if (words.textContent === "") shown.remove();
      }),
      /** It is to be understood once more, now at the end. */
      again: () => {
        words.textContent = "";
        shown.classList.add("waiting");
        this.#add(shown);
      },
      discard: () => shown.remove(),
    };
  }

  /** Adds a remark of the page's own. */
  note(text) {
    return this.#add(element("p", "note", text));
  }

  /**
   * Says below what the person said that it did not arrive, and offers to try again; before that `more`, if there is more.
   * Returns what tries again by itself, if that was not done by then. `retry` is told whether it was by hand.
   */
  unsent(text, retry, ...more) {
    const shown = element("div", "unsent");
    const go = (byHand) => {
      if (!shown.isConnected) return;
      shown.remove();
      return retry(byHand);
    };
    const again = button("Try again", "strong", () => go(true));
    const problem = element("p", "problem", text);
    problem.setAttribute("role", "alert");
    shown.append(problem, ...more, again);
    this.#add(shown);
    return () => go(false);
  }

  /** Moves something to the end, where the conversation goes on. */
  moveToEnd(shown) {
    this.#add(shown);
  }

  /** Begins a reply that grows. The log is busy meanwhile, so that a screen reader reads it once, whole. */
  reply() {
    const shown = message("assistant", "");
    const words = shown.querySelector(".words");
    const end = () => this.#log.removeAttribute("aria-busy");
    let known = {};
    shown.classList.add("waiting");
    this.#log.setAttribute("aria-busy", "true");
    this.#add(shown);
    return {
      append: (piece) => this.#keepingTheEnd(() => {
        shown.classList.remove("waiting");
        if (words.firstChild) words.firstChild.appendData(piece);
        else words.textContent = piece;
      }),
      finish: (text, facts = {}) => this.#keepingTheEnd(() => {
        shown.classList.remove("waiting");
        if (words.textContent !== text) words.textContent = text;
        end();
        known = facts;
        if (text !== "") this.#onAnswer(shown, { ...known, text });
      }),
      /** It was interrupted: shows only so much of it, or nothing. */
      cut: (text) => this.#keepingTheEnd(() => {
        shown.classList.remove("waiting");
        shown.classList.add("cut");
        words.textContent = text;
        if (text === "") shown.remove();
        else this.#onAnswer(shown, { ...known, text, audio: undefined });
        end();
      }),
      point: pointer(words),
      discard: () => {
        shown.remove();
        this.#lastIsLatest();
        end();
      },
    };
  }

  #earlier({ role, text, audio_url: audio, memories }) {
    const shown = message(role, text);
    if (role === "assistant") this.#onAnswer(shown, { text, audio, memories });
    return shown;
  }

  /** So many from there on are past, but for the last few. */
  #leave(from, count) {
    const { children } = this.#log;
    const end = Math.min(from + count, children.length - LATEST);
    for (let at = Math.max(from, 0); at < end; at += 1) children[at].classList.add("past");
  }

  #lastIsLatest() {
    this.#isLatest([...this.#log.querySelectorAll(".assistant")].at(-1));
  }

  #isLatest(answer) {
    this.#latest?.classList.remove("latest");
    this.#latest = answer;
    answer?.classList.add("latest");
  }

  #add(shown) {
    this.#log.append(shown);
    shown.classList.toggle("said-here", shown.matches(".message:not(.greeting)"));
    this.#leave(this.#log.childElementCount - LATEST - 1, 1);
    if (shown.classList.contains("user")) this.#view.classList.add("begun");
    if (shown.classList.contains("assistant")) this.#isLatest(shown);
    this.goToEnd();
    return shown;
  }

  /** Follows the reply as it grows, but not for someone who has scrolled up to read. */
  #keepingTheEnd(change) {
    change();
    if (this.#followsEnd) this.goToEnd();
  }
}
