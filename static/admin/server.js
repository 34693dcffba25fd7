// Asks the server what whoever runs it may know.

const ROOT = "/api/v1/admin";

// A server that says nothing for so long is as good as gone.
const SILENCE_MS = 20_000;

/** What was asked for did not happen. Its message is for a person; `signIn` is the page to sign in at, where that helps. */
export class Failure extends Error {
  constructor(message, signIn) {
    super(message);
    this.signIn = signIn;
  }
}

async function request(path, options) {
  const signal = AbortSignal.timeout(SILENCE_MS);
  const response = await fetch(ROOT + path, { ...options, signal }).catch(() => {
    throw new Failure("The server cannot be reached.");
  });
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  throw new Failure(told?.message ?? "The server could not tell.", told?.details?.sign_in);
}

async function json(path) {
  const response = await request(path);
  return response.json().catch(() => {
    throw new Failure("The server could not tell all of it.");
  });
}

/** How it is, and how it went over the last `24h` or `30d`. */
export const status = (span) => json(`/status?span=${span}`);

export const memory = () => json("/memory/status");

export const signIn = (token) =>
  request("/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });

export const signOut = () => request("/sign-out", { method: "POST" });
