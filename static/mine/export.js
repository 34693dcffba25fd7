// A copy of everything kept about a person, as a file. It is fetched by the page: what a link leads to may fail without a word.

import * as api from "/static/api.js";

// So long a browser may take to begin with the file.
const HELD_MS = 60_000;

async function whole() {
  try {
    return await api.exportMe();
  } catch (failure) {
    if (!(failure instanceof api.Failure) || failure.signIn) throw failure;
    throw new api.Failure(failure.status, failure.code, `There is no copy: the export failed. ${failure.message}`);
  }
}

/** Hands a file to the browser, as a link to it does. */
function save(file, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), HELD_MS);
}

/** Sets the part of the dialog up. */
export function copyForMe(part, attempt) {
  const link = part.querySelector("a");
  let busy = false;

  function setBusy(now) {
    busy = now;
    link.textContent = now ? "Exporting…" : "Export";
  }

  link.onclick = (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    attempt(async () => save(await whole(), "companion-export.json")).finally(() => setBusy(false));
  };
}
