// What this browser keeps from one visit to the next: which conversation it shows, and an attempt to replace the person's token that
// has not been answered. Of the conversation only its id, never what was said. Storage may be forbidden; then a reload begins a new
// conversation, and the old one is in the list.

const KEPT = "companion.session";
const ATTEMPT = "companion.attempt";

function keep(name, value) {
  try {
    if (value) localStorage.setItem(name, value);
    else localStorage.removeItem(name);
  } catch {}
}

function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keeps the id, or forgets it for null. */
export const remember = (id) => keep(KEPT, id);

export const remembered = () => kept(KEPT);

/** Keeps the secret of an attempt to replace the token, or forgets it for null: it was answered, or one is somebody else. */
export const rememberAttempt = (secret) => keep(ATTEMPT, secret);

export const attempted = () => kept(ATTEMPT);
