// For whoever presses twice.

/** What does `work`, but for nobody who asks for it again before it is done. */
export function oneAtATime(work) {
  let isUnderWay = false;
  return async () => {
    if (isUnderWay) return;
    isUnderWay = true;
    try {
      await work();
    } finally {
      isUnderWay = false;
    }
  };
}
