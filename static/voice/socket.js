// The voice socket: recordings out, the answer in. A turn is taken once, also when the connection is lost in its midst; where
// no connection can be had (a proxy that knows no sockets, too many of them) the whole recording is sent as a form.
//
// Bound: a recording of 8 MiB, kept until its turn is answered; beyond it the recording ends.

import { Failure, process, turnId } from "/static/api.js";

const MOST_BYTES = 8 << 20;
const PAUSES_MS = [250, 1000, 3000];
// A connection that takes longer to open is as good as none.
const OPENS_WITHIN_MS = 5000;

/** Where a conversation's socket is. */
export function address(session) {
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
  // The one before, whose answer may still be heard.
  #last = null;
  // Turns that were interrupted and whose end has not come: until then nothing of what comes belongs to a later one.
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
   * A recording begins; returns the name of its turn, where its pieces go, its end, how it is tried again, how it is taken into another conversation,
   * and how it is dropped. While another turn is not answered it is kept here.
   */
  start(whose) {
    const turn = { whose, id: turnId(), pieces: [], size: 0, ended: false, over: null };
    turn.whole = new Promise((resolve) => {
      turn.onWhole = resolve;
    });
    this.#waiting.push(turn);
    if (!this.#turn) this.#goOn();
    return {
      id: turn.id,
      piece: (piece) => this.#add(turn, piece),
      end: () => this.#end(turn),
      drop: () => this.#drop(turn),
      retry: () => {
        this.#turn = turn;
        turn.ended = true;
        turn.onWhole();
        this.#deliver(turn);
      },
      into: (other) => {
        const recording = other.start(whose);
        turn.pieces.forEach(recording.piece);
        recording.end();
        return recording;
      },
    };
  }

  /** Their turn is over, or given up. */
  forget(whose) {
    if (this.#turn?.whose !== whose) return;
    this.#last = this.#turn;
    this.#goOn();
  }

  /**
   * Ends the turn under way, and drops those that wait for its end; or ends the answer to the last. Of the answer so much was heard,
   * which the server is told over the next connection where this one is lost.
   */
  interrupt(playedMs) {
    const [turn, isAnswered] = this.#turn ? [this.#turn, false] : [this.#last, true];
    this.#leaveAll();
    if (!turn?.over) return;
    turn.playedMs = playedMs;
    const isHere = this.#isHere(turn) && this.#isOpen;
    if (isHere) this.#sayInterrupted(turn);
    if (!turn.ended || (isHere && isAnswered)) return;
    this.#ending.push(turn);
    if (!isHere) this.#carryOn();
  }

  /** The answer began to be heard so long after the end of what was said. */
  firstSound(afterMs) {
    if (this.#isOpen) this.#say({ type: "first_sound", after_ms: afterMs });
  }

  close() {
    this.#closed = true;
    this.#leaveAll();
    // What was interrupted on a lost connection is still told.
    if (!this.#opening) this.#socket?.close();
  }

  #leaveAll() {
    this.#turn = null;
    this.#last = null;
    this.#waiting = [];
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
    if (this.#isHere(turn)) this.#socket.send(piece);
    if (turn.size > MOST_BYTES) this.#on.full();
  }

  #end(turn) {
    if (turn.ended || !this.#isKept(turn)) return;
    turn.ended = true;
    turn.onWhole();
    if (this.#isHere(turn)) this.#say({ type: "stop_listening" });
  }

  /** It has gone over the connection there is. */
  #isHere(turn) {
    return turn.over !== null && turn.over === this.#socket;
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

  /** Whether it was done, in four tries. */
  async #isDone(attempt) {
    for (const wait of PAUSES_MS) {
      if (await attempt()) return true;
      await pause(wait);
    }
    return attempt();
  }

  /** Takes the turn to the server. */
  async #deliver(turn) {
    if (await this.#isDone(() => this.#isTaken(turn))) return;
    this.#fail(turn, new Failure(0, "unreachable", "The companion cannot be reached right now."));
  }

  /** Tells what was interrupted; what cannot be told now is told over whatever connection comes next. */
  #carryOn() {
    this.#isDone(() => this.#closed || this.#connects());
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
    turn.over = this.#socket;
  }

  #sayInterrupted(turn) {
    turn.toldOver = this.#socket;
    this.#say({ type: "interrupt", played_ms: turn.playedMs });
  }

  async #isPosted(turn) {
    turn.over = null;
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

  /** Whether there is a connection now, over which has been told what was interrupted on one that was lost. */
  #connects() {
    this.#opening ??= this.#opensAndTells().finally(() => {
      this.#opening = null;
      if (this.#closed) this.#socket?.close();
    });
    return this.#opening;
  }

  async #opensAndTells() {
    if (!this.#isOpen && !(await this.#opens())) return false;
    for (;;) {
      const turn = this.#ending.find(({ toldOver }) => toldOver !== this.#socket);
      if (!turn) return true;
      if (!(await this.#isEnded(turn))) return false;
    }
  }

  /** Goes on with the turn only to interrupt it; false when the connection is lost before its end has come. */
  #isEnded(turn) {
    return new Promise((resolve) => {
      turn.onEnd = resolve;
      this.#say({ type: "start_listening", turn_id: turn.id });
      this.#say({ type: "stop_listening" });
      this.#sayInterrupted(turn);
    });
  }

  #opens() {
    return new Promise((resolve) => {
      const socket = new WebSocket(address(this.#session));
      const timer = setTimeout(() => socket.close(), OPENS_WITHIN_MS);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        clearTimeout(timer);
        this.#socket = socket;
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
    if (this.#ending[0]?.toldOver === this.#socket) {
      if (["audio_end", "error"].includes(message?.type)) this.#settle(this.#ending.shift());
      return;
    }
    if (message) this.#on.message(message);
    else this.#on.sound(new Uint8Array(data));
  }

  #settle(turn) {
    this.#on.settled(turn.whose);
    turn.onEnd?.(true);
  }

  #lose() {
    const [lost, turn] = [this.#socket, this.#turn];
    this.#socket = null;
    for (const { onEnd } of this.#ending) onEnd?.(false);
    if (this.#closed) return;
    if (turn && turn.over === lost) {
      this.#on.again();
      this.#deliver(turn);
    } else if (this.#ending.length > 0 && !this.#opening) {
      this.#carryOn();
    }
  }
}
