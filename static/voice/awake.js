// Keeps a phone's screen on while one talks.

let wanted = false;
let lock = null;
let isAsking = false;

async function take() {
  if (!wanted || lock || isAsking || document.visibilityState !== "visible") return;
  isAsking = true;
  try {
    hold(await navigator.wakeLock?.request("screen"));
  } catch {
    // A nearly empty battery refuses it; talking goes on.
  }
  isAsking = false;
  if (!wanted) release();
}

function hold(taken) {
  lock = taken ?? null;
  lock?.addEventListener("release", () => {
    if (lock === taken) lock = null;
  });
}

function release() {
  lock?.release();
  lock = null;
}

// The system takes the lock away whenever the page is out of sight.
document.addEventListener("visibilitychange", take);

/** To be told as often as one likes. */
export function keepAwake(on) {
  if (on === wanted) return;
  wanted = on;
  if (on) take();
  else release();
}
