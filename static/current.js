// Which conversation this browser shows. Only its id is left in the browser, never what was said. Storage may be forbidden;
// then a reload begins a new conversation and the old one is in the list.

const KEPT = "companion.session";

/** Keeps the id, or forgets it for null. */
export function remember(id) {
  try {
    if (id) localStorage.setItem(KEPT, id);
    else localStorage.removeItem(KEPT);
  } catch {}
}

export function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
