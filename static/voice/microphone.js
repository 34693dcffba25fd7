// The microphone: opens it, or says in plain words why it cannot; measures it; and gives its sound as it is and half a second late.

import { FRAME_MS } from "/static/voice/activity.js";

// A recording that begins when speech is noticed still holds its first sounds. 300 ms would do for those that nothing is in the way
// of; but the page's echo is known half a second after it began to speak (`echo.js`), and until then speech is noticed that late.
const PRE_ROLL_S = 0.5;

const WANTED = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };

const WHY = {
  NotAllowedError: "The microphone was not allowed. Allow it for this page in the browser's settings, then try again.",
  NotFoundError: "No microphone was found. Connect one, then try again.",
  NotReadableError: "The microphone cannot be opened; another program may be using it.",
};

/** The microphone cannot be had. The message is for the person. */
export class NoMicrophone extends Error {}

async function stream() {
  if (!isSecureContext) {
    throw new NoMicrophone("Browsers give the microphone only to pages opened over https, and this one was not.");
  }
  if (!navigator.mediaDevices?.getUserMedia || typeof MediaRecorder === "undefined") {
    throw new NoMicrophone("This browser cannot record sound.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: WANTED });
  } catch (error) {
    throw new NoMicrophone(WHY[error.name] ?? `The microphone cannot be opened (${error.name}).`);
  }
}

/**
 * Opens the microphone. `onLevels` gets for every 20 ms how loud it is and how loud `playing` is, what the page plays;
 * `onLost` hears that it has gone.
 */
export async function open(sound, playing, onLevels, onLost) {
  const raw = await stream();
  const [track] = raw.getAudioTracks();
  try {
    await sound.audioWorklet.addModule("/static/voice/levels.js");
  } catch {
    track.stop();
    throw new NoMicrophone("The part of the page that listens cannot be loaded right now.");
  }
  const source = sound.createMediaStreamSource(raw);
  const levels = new AudioWorkletNode(sound, "levels", {
    numberOfInputs: 2,
    numberOfOutputs: 0,
    channelCount: 1,
    channelCountMode: "explicit",
    processorOptions: { frameMs: FRAME_MS },
  });
  const delay = sound.createDelay(PRE_ROLL_S);
  delay.delayTime.value = PRE_ROLL_S;
  const output = () => new MediaStreamAudioDestinationNode(sound, { channelCount: 1 });
  const [now, late] = [output(), output()];
  source.connect(levels, 0, 0);
  playing.connect(levels, 0, 1);
  source.connect(now);
  source.connect(delay).connect(late);
  levels.port.onmessage = ({ data }) => onLevels(...data);
  track.onended = onLost;
  return {
    // On a phone `sound` does not run before the first finger is up again; and WebKitGTK cannot record what it measures.
    get now() {
      return sound.state === "running" ? now.stream : raw;
    },
    late: late.stream,
    lateMs: 1000 * PRE_ROLL_S,
    cancelsEcho: track.getSettings().echoCancellation === true,
    close() {
      levels.port.onmessage = null;
      track.onended = null;
      source.disconnect();
      playing.disconnect(levels);
      delay.disconnect();
      track.stop();
    },
  };
}
