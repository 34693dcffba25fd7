// Replaces the person's token, also when an answer is lost on its way: the old token may be worth nothing then, and the new one has not
// come. So the attempt is kept until it is answered, and made again as the same one, which gets the same new token.

import * as api from "/static/api.js";
import { attempted, rememberAttempt } from "/static/interruption.js";

/** 256 random bits. */
const secret = () => Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Whether the server has said what became of it. */
const isAnswer = ({ status }) => status >= 400 && status < 500 && status !== 429;

const UNANSWERED = "No answer came: your token may be replaced, or not. It is tried again once the companion can be reached.";

/** Replaces it, or goes on with the attempt that was not answered. */
export async function replaceToken() {
  const attempt = attempted() ?? secret();
  rememberAttempt(attempt);
  try {
    await api.replaceToken(attempt);
  } catch (failure) {
    if (!(failure instanceof api.Failure) || failure.signIn) throw failure;
    if (isAnswer(failure)) rememberAttempt(null);
    throw failure.status === 0 ? new api.Failure(0, failure.code, UNANSWERED) : failure;
  }
  rememberAttempt(null);
}

/** Goes on with it before somebody new could begin in its place. Whoever has lost the token meanwhile is nobody, as without it. */
export async function settle() {
  try {
    await replaceToken();
  } catch (failure) {
    if (!(failure instanceof api.Failure) || failure.signIn || failure.status !== 401) throw failure;
  }
}
