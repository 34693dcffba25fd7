// Signs this browser in with the admin token, then goes to the admin page.

import { Failure, signIn } from "/static/admin/server.js";
import { askForToken } from "/static/token-form.js";

askForToken({ signIn, Failure, next: () => "/admin" });
