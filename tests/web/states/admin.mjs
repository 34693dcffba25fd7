// The page of whoever runs the server: a month of numbers, none yet, and none to be had.

import { TOKEN, inUse } from "../month.mjs";

const NEW = { ADMIN_TOKEN: TOKEN };

async function enter(guest) {
  await guest.context.request.post(new URL("/api/v1/admin/sign-in", guest.server.origin).href, { data: { token: TOKEN } });
  await guest.page.goto(new URL("/admin", guest.server.origin).href);
  await guest.page.getByRole("heading", { name: "What needs attention" }).waitFor();
}

export const states = [
  {
    name: "sign in",
    settings: NEW,
    path: "/admin/sign-in",
    async go(guest) {
      await guest.page.getByLabel("Admin token").waitFor();
    },
  },
  {
    name: "a wrong token",
    settings: NEW,
    path: "/admin/sign-in",
    troubles: /status of 401/,
    async go(guest) {
      await guest.page.getByLabel("Admin token").fill("not this one");
      await guest.press("Sign in");
      await guest.page.locator(".problem:not(:empty)").waitFor();
    },
  },
  { name: "all is well", settings: NEW, path: "/livez", troubles: /status of 404/, go: enter },
  {
    name: "a day",
    start: inUse,
    path: "/livez",
    troubles: /status of 404/,
    async go(guest) {
      await enter(guest);
      await guest.page.locator("#chart-disk").getByText("As a table").click();
    },
  },
  {
    name: "a month",
    start: inUse,
    path: "/livez",
    troubles: /status of 404/,
    async go(guest) {
      await enter(guest);
      await guest.page.getByLabel("30 days").check();
      await guest.page.locator("#chart-turns").getByText("in 30 days").waitFor();
      const slider = guest.page.getByRole("slider", { name: "Disk, by kind: a moment" });
      await slider.focus();
      await guest.page.keyboard.press("Home");
    },
  },
  {
    name: "not to be reached",
    start: inUse,
    path: "/livez",
    troubles: /status of 404|ERR_FAILED/,
    async go(guest) {
      await enter(guest);
      await guest.page.route("**/api/**", (route) => route.abort());
      await guest.page.getByLabel("30 days").check();
      await guest.page.locator("main.stale").waitFor();
    },
  },
];
