// The voice socket: recordings out, the answer in. A turn is taken once, also when the connection is lost in its midst; where
// no connection can be had (a proxy that knows no sockets, too many of them) the whole recording is sent as a form.
//
// Bound: a recording of 8 MiB, kept until its turn is answered; beyond it the recording ends.

import { Failure, process, turnId } from "/static/api.js";

const MOST_BYTES = 8 << 20;
const PAUSES_MS = [250, 1000, 3000];
// A connection that takes longer to open is as good as none.
const OPENS_WITHIN_MS = 5000;

function address(session) {
  const url = new URL("/api/v1/voice/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("session_id", session);
  return url;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class VoiceSocket {
  #session;
  #on;
  #socket = null;
  #opening = null;
  // The turn that is not answered yet, as `start` makes it; and those that are said meanwhile, which go on with it.
  #turn = null;
  #waiting = [];
  // Turns that were interrupted on this connection: until their end has come, nothing belongs to a later one.
  #ending = [];
  #closed = false;

  /**
   * `on` hears what becomes of the turns that were started for somebody (`whose`): `message` gets each object the server says,
   * `sound` each piece of sound; `again` that the answer begins anew after the connection was lost; `posts` that the turn goes
   * as a form, `whole` the answer to that; `failed` that it could not be taken (what was said is kept for `retry`); `settled`
   * that one that was interrupted is over; `full` that the recording has become too long.
   */
  constructor(session, on) {
    this.#session = session;
    this.#on = on;
  }

  get session() {
    return this.#session;
  }

  /** Connects ahead of the first word. That it cannot be done is told when it matters. */
  warmUp() {
    this.#connects();
  }

  /**
   * A recording begins; returns where its pieces go, its end, how it is tried again, and how it is dropped. While another turn is
   * not answered it is kept here.
   */
  start(whose) {
    const turn = { whose, id: turnId(), pieces: [], size: 0, ended: false, delivered: false };
    turn.whole = new Promise((resolve) => {
      turn.onWhole = resolve;
    });
    this.#waiting.push(turn);
    if (!this.#turn) this.#goOn();
    return {
      piece: (piece) => this.#add(turn, piece),
      end: () => this.#end(turn),
      drop: () => this.#drop(turn),
      retry: () => {
        this.#turn = turn;
        turn.ended = true;
        turn.onWhole();
        this.#deliver(turn);
      },
    };
  }

  /** Their turn is over, or given up. */
  forget(whose) {
    if (this.#turn?.whose === whose) this.#goOn();
  }

  /** Ends the turn under way, and drops those that wait for its end; of its answer so much was heard. */
  interrupt(playedMs) {
    const turn = this.#turn;
    this.#turn = null;
    this.#waiting = [];
    if (!this.#isOpen) return;
    this.#say({ type: "interrupt", played_ms: playedMs });
    if (turn?.delivered && turn.ended) this.#ending.push(turn);
  }

  /** The answer began to be heard so long after the end of what was said. */
  firstSound(afterMs) {
    if (this.#isOpen) this.#say({ type: "first_sound", after_ms: afterMs });
  }

  close() {
    this.#closed = true;
    this.#socket?.close();
  }

  #goOn() {
    this.#turn = this.#waiting.shift() ?? null;
    if (this.#turn) this.#deliver(this.#turn);
  }

  #drop(turn) {
    if (turn === this.#turn) this.interrupt();
    else this.#waiting = this.#waiting.filter((waiting) => waiting !== turn);
  }

  /** It is not answered yet, nor given up. */
  #isKept(turn) {
    return turn === this.#turn || this.#waiting.includes(turn);
  }

  #add(turn, piece) {
    if (turn.ended || !this.#isKept(turn)) return;
    turn.pieces.push(piece);
    turn.size += piece.size;
    if (turn.delivered) this.#socket.send(piece);
    if (turn.size > MOST_BYTES) this.#on.full();
  }

  #end(turn) {
    if (turn.ended || !this.#isKept(turn)) return;
    turn.ended = true;
    turn.onWhole();
    if (turn.delivered) this.#say({ type: "stop_listening" });
  }

  get #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #say(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #isWanted(turn) {
    return turn === this.#turn && !this.#closed;
  }

  /** Takes the turn to the server, in four tries. */
  async #deliver(turn) {
    for (const wait of PAUSES_MS) {
      if (await this.#isTaken(turn)) return;
      await pause(wait);
    }
    if (await this.#isTaken(turn)) return;
    this.#fail(turn, new Failure(0, "unreachable", "The companion cannot be reached right now."));
  }

  /** Tries once: over a connection that has seen none of it, else as a form. True as well when it is not wanted any more. */
  async #isTaken(turn) {
    if (!this.#isWanted(turn)) return true;
    const connected = await this.#connects();
    if (!this.#isWanted(turn)) return true;
    if (connected) {
      this.#send(turn);
      return true;
    }
    await turn.whole;
    return !this.#isWanted(turn) || this.#isPosted(turn);
  }

  #send(turn) {
    this.#say({ type: "start_listening", turn_id: turn.id });
    for (const piece of turn.pieces) this.#socket.send(piece);
    if (turn.ended) this.#say({ type: "stop_listening" });
    turn.delivered = true;
  }

  async #isPosted(turn) {
    this.#on.posts(turn.whose);
    try {
      const answer = await process(this.#session, turn.id, new Blob(turn.pieces));
      this.forget(turn.whose);
      this.#on.whole(turn.whose, answer);
      return true;
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (failure.status === 0 && this.#isWanted(turn)) return false;
      this.#fail(turn, failure);
      return true;
    }
  }

  #fail(turn, failure) {
    if (!this.#closed) this.#on.failed(turn.whose, failure);
  }

  /** Whether there is a connection now. */
  #connects() {
    if (this.#isOpen) return Promise.resolve(true);
    this.#opening ??= this.#opens().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  #opens() {
    return new Promise((resolve) => {
      const socket = new WebSocket(address(this.#session));
      const timer = setTimeout(() => socket.close(), OPENS_WITHIN_MS);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        clearTimeout(timer);
        this.#socket = socket;
        this.#ending = [];
        resolve(true);
      };
      socket.onmessage = ({ data }) => this.#hear(data);
      socket.onclose = () => {
        clearTimeout(timer);
        resolve(false);
        if (this.#socket === socket) this.#lose();
      };
      if (this.#closed) socket.close();
    });
  }

  #hear(data) {
    const message = typeof data === "string" ? JSON.parse(data) : null;
    if (this.#ending.length > 0) {
      if (["audio_end", "error"].includes(message?.type)) this.#on.settled(this.#ending.shift().whose);
      return;
    }
    if (message) this.#on.message(message);
    else this.#on.sound(new Uint8Array(data));
  }

  #lose() {
    this.#socket = null;
    for (const { whose } of this.#ending.splice(0)) this.#on.settled(whose);
    const turn = this.#turn;
    if (!turn?.delivered || this.#closed) return;
    turn.delivered = false;
    this.#on.again();
    this.#deliver(turn);
  }
}
