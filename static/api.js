// Speaks to the server: the API's verbs, its errors, and the events of a streamed reply.

const ROOT = "/api/v1";

// The server gives up on a turn after a minute; a stream silent for longer has lost its connection.
const SILENCE_MS = 90_000;
// What the server answers at once is not waited for as long: a network may hang without saying so.
const ANSWER_MS = 20_000;
const HEALTH_MS = 5000;
/** What stands before the server answers so while it is away, in words of its own. */
const isAway = (status) => status === 404 || status >= 500;

/** Gives up what has been silent for so long: `heard` begins that time anew, `end` ends it. */
function patience(ms = SILENCE_MS) {
  const lost = new AbortController();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => lost.abort(), ms);
  };
  heard();
  return { signal: lost.signal, heard, end: () => clearTimeout(timer) };
}

/**
 * What was asked for did not happen. Its message is for the person; `status` is 0 if the server was not reached; `signIn`
 * is the page to sign in at, if the server lets in only who has.
 */
export class Failure extends Error {
  constructor(status, code, message, details) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
    this.signIn = details?.sign_in;
  }
}

function unreachable() {
  return new Failure(0, "unreachable", "The companion cannot be reached right now.");
}

function refused(status, told) {
  if (isAway(status) && !told?.error) return unreachable();
  const message = told?.message ?? "Something went wrong; please try again.";
  return new Failure(status, told?.error ?? "unknown", message, told?.details);
}

/** Asks, and `read`s what comes. All of that takes so long at most; whoever brings a `signal` waits as long as that says. */
async function request(path, options, read = (response) => response, ms = ANSWER_MS) {
  const { signal, end } = patience(ms);
  try {
    const response = await fetch(ROOT + path, { signal, ...options });
    if (!response.ok) throw refused(response.status, await response.json().catch(() => null));
    return await read(response);
  } catch (error) {
    throw error instanceof Failure ? error : unreachable();
  } finally {
    end();
  }
}

const sent = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const json = (path, options, ms) => request(path, options, (response) => response.json(), ms);

export const health = () => json("/health", {}, HEALTH_MS);

export const signIn = (token) => request("/sign-in", sent("POST", { token }));

export const signOut = () => request("/sign-out", { method: "POST" });

export const me = () => json("/me");

/** Everything kept about this person, as a file. One that breaks off is none. */
export async function exportMe() {
  const { signal, heard, end } = patience();
  const transform = (chunk, onward) => {
    heard();
    onward.enqueue(chunk);
  };
  try {
    const { body } = await request("/me/export", { signal });
    const told = { headers: { "Content-Type": "application/json" } };
    return await new Response(body.pipeThrough(new TransformStream({ transform })), told).blob();
  } catch (error) {
    throw error instanceof Failure ? error : unreachable();
  } finally {
    end();
  }
}

/** There may be much of it. */
export const eraseMe = () => json("/me", { method: "DELETE" }, SILENCE_MS);

/** Replaces this person's token: everywhere else it is worth nothing. The same `attempt` gets the same new one. */
export const replaceToken = (attempt) => request("/me/rotate", sent("POST", { attempt }));

export const makeLink = () => json("/me/link", { method: "POST" });

export const makeRecoveryCode = () => json("/me/recovery", { method: "POST" });

/** Becomes the person a link leads to; `instead` of whoever one is here so far. */
export const redeemLink = (secret, instead) => json("/me/link/redeem", sent("POST", { secret, instead }));

/** Becomes the person whose recovery code it is. */
export const redeemCode = (code, instead) => json("/me/recovery/redeem", sent("POST", { code, instead }));

/** Makes this browser nobody. */
export const leave = () => request("/me/leave", { method: "POST" });

export const memories = (page) => json(`/memories?${new URLSearchParams(page)}`);

export const addMemory = (text) => json("/memories", sent("POST", { text }));

export const correctMemory = (id, text) => json(memoryAt(id), sent("PATCH", { text }));

export const memoryAt = (id) => `/memories/${encodeURIComponent(id)}`;

export const forgetMemories = () => request("/memories", { method: "DELETE" }, undefined, SILENCE_MS);

export const startSession = (remember = true) => json("/session/start", sent("POST", { remember }));

export const sessions = (page) => json(`/sessions?${new URLSearchParams(page)}`);

export const session = (id, page) => json(`/sessions/${encodeURIComponent(id)}?${new URLSearchParams(page)}`);

/** Renames (`title`) or pins (`pinned`) a conversation. */
export const changeSession = (id, change) => json(`/sessions/${encodeURIComponent(id)}`, sent("PATCH", change));

/** Where a conversation is deleted; and what was learned in it, unless that is kept. */
export const sessionAt = (id, keepMemories = false) => `/sessions/${encodeURIComponent(id)}?keep_memories=${keepMemories}`;

/** Deletes what is at this address, also when the page goes meanwhile. */
export const remove = (path) => request(path, { method: "DELETE", keepalive: true });

/** What begins to come within that time; null when nothing does. */
async function begun(url, options) {
  const { signal, end } = patience();
  return fetch(url, { ...options, signal }).catch(() => null).finally(end);
}

/** An answer as sound: the one that is kept, else made once more. Null when neither can be had. */
export async function sound(sessionId, { text, audio }) {
  const kept = audio && (await begun(audio));
  if (kept?.ok) return kept;
  const form = new FormData();
  form.append("session_id", sessionId);
  form.append("text", text);
  const made = await begun(`${ROOT}/voice/stream-tts`, { method: "POST", body: form });
  return made?.ok ? made : null;
}

/**
 * Takes a turn: hands each piece of the reply to `onPiece` as it comes, and the address of each spoken sentence to `onFile`
 * if the turn is to `speak`; returns the whole.
 */
export async function chat(turn, onPiece, onFile) {
  const { signal, heard, end } = patience();
  try {
    const asked = sent("POST", turn);
    asked.headers.Accept = "text/event-stream";
    const response = await request("/chat", { ...asked, signal });
    for await (const { name, data } of events(response.body)) {
      heard();
      if (name === "token") onPiece(data.text);
      if (name === "audio") onFile(data.audio_url);
      if (name === "done") return data;
      if (name === "error") throw refused(response.status, data);
    }
  } catch (error) {
    throw error instanceof Failure ? error : unreachable();
  } finally {
    end();
  }
  // The stream ended without a last word.
  throw unreachable();
}

/** Takes a spoken turn without a socket: the recording goes whole, and so does the answer come. */
export function process(sessionId, turn, recording) {
  const form = new FormData();
  form.append("session_id", sessionId);
  form.append("turn_id", turn);
  form.append("audio", recording);
  return json("/voice/process", { method: "POST", body: form, signal: AbortSignal.timeout(SILENCE_MS) });
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const frames = (text + value).split("\n\n");
    text = frames.pop();
    yield* frames.map(eventOf).filter((event) => event.data !== undefined);
  }
}

function eventOf(frame) {
  const field = (name) =>
    frame.split("\n").flatMap((line) => (line.startsWith(`${name}:`) ? [line.slice(name.length + 1).trim()] : []));
  const data = field("data");
  return { name: field("event")[0], data: data.length > 0 ? JSON.parse(data.join("\n")) : undefined };
}

/** A random id of a turn. `crypto.randomUUID` exists only over https and on this machine. */
export function turnId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
