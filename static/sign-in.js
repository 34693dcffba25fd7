// Signs this browser in with the access token, then goes to the conversation, or back to the link that led here.

import { Failure, signIn } from "/static/api.js";
import { askForToken } from "/static/token-form.js";

/** Where to go on. It stands behind the # and is sent to nobody; nothing else is gone to. */
function next() {
  return /^#(\/link(#[0-9a-f]{64})?)$/i.exec(location.hash)?.[1] ?? "/";
}

askForToken({ signIn, Failure, next });
