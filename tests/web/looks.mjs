// What people see the page on. LOOK=<name> gives every guest this one; without it they sit at a desk by day.

const PHONE = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true };
const DESK = { viewport: { width: 1280, height: 800 } };

const LOOKS = {
  "desk-light": { ...DESK, colorScheme: "light" },
  "desk-dark": { ...DESK, colorScheme: "dark" },
  "phone-light": { ...PHONE, colorScheme: "light" },
  "phone-dark": { ...PHONE, colorScheme: "dark" },
};

const name = process.env.LOOK ?? "desk-light";
if (!(name in LOOKS)) throw new Error(`LOOK=${name} is none of ${Object.keys(LOOKS).join(", ")}`);

/** How a browser is opened for it. */
export const look = LOOKS[name];
