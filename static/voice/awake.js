// Keeps a phone's screen on while one talks hands-free.

let wanted = false;
let lock = null;

async function take() {
  if (!wanted || lock || document.visibilityState !== "visible") return;
  try {
    lock = await navigator.wakeLock?.request("screen");
    lock?.addEventListener("release", () => {
      lock = null;
    });
    if (!wanted) release();
  } catch {
    // A nearly empty battery refuses it; talking goes on.
  }
}

function release() {
  lock?.release();
  lock = null;
}

// The system takes the lock away whenever the page is out of sight.
document.addEventListener("visibilitychange", take);

export function keepAwake(on) {
  wanted = on;
  if (on) take();
  else release();
}
