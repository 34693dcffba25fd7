// How things are put into words: days, how long what is said here is kept, and who answers; and how words are compared.

/** As words are compared: in lower case, and one spelling of a letter with its marks, however it was typed. */
export const folded = (text) => text.toLocaleLowerCase().normalize();

/** A day as people write it. A date without a time is that day everywhere. */
export function day(value) {
  const timeZone = /^\d{4}-\d{2}-\d{2}$/.test(value) ? "UTC" : undefined;
  return new Date(value).toLocaleDateString(undefined, { dateStyle: "long", timeZone });
}

/** A day and the time on it, for what is near. */
export function moment(value) {
  return new Date(value).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
}

// What means whoever asks, wherever they are.
const OF_ONESELF = /^(localhost|.+\.localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\])$/;

/** Whether an address leads to the machine it is opened on. */
export const isOfThisMachine = (address) => OF_ONESELF.test(new URL(address).hostname);

const days = (count) => (count === 1 ? "1 day" : `${count} days`);

/** What is kept for good goes with its person all the same. */
const untilYouDelete = (what, personDays) => `until you delete ${what}${personDays ? ` or have not been here for ${days(personDays)}` : ""}`;

/** Until when a conversation is kept, in few words; none where it is not known (`undefined`) after how many days people are forgotten. */
export function keptUntil({ pinned, remembered, expires_at: until }, personDays) {
  if (!pinned && until) return `kept until ${remembered === false ? moment(until) : day(until)}`;
  return personDays === undefined ? "" : `kept ${untilYouDelete("it", personDays)}`;
}

/** How long conversations and people are kept. A `session` that has just begun has no dates yet. */
export function retention({ retention: { session_days, person_days }, maintenance_overdue: overdue }, session) {
  const told = [conversationKept(session_days, person_days, session)];
  if (person_days) told.push(`People not seen for ${days(person_days)} are forgotten.`);
  if (overdue.length) told.push(`Maintenance is overdue (${oneOf(overdue)}).`);
  return told.join(" ");
}

/** Whoever runs the server sees all of them where it is looked after; here is room for one. */
const oneOf = ([first, ...others]) => (others.length ? `${first} and ${others.length} more` : first);

function conversationKept(sessionDays, personDays, session) {
  const forGood = `are kept ${untilYouDelete("them", personDays)}.`;
  if (!sessionDays && session.remembered !== false) return `Conversations ${forGood}`;
  const rule = sessionDays ? `conversations idle for ${days(sessionDays)} are deleted.` : `conversations ${forGood}`;
  if (session.pinned) return `This conversation is pinned and kept ${untilYouDelete("it", personDays)}; other ${rule}`;
  if (session.remembered === false) return `This conversation is not remembered and is deleted ${goesAt(session)}; other ${rule}`;
  if (session.expires_at) return `This conversation is kept until ${day(session.expires_at)}; ${rule}`;
  return `All ${rule}`;
}

function goesAt({ expires_at: until }) {
  return until ? `after ${moment(until)}` : "once nothing has been said in it for a day";
}

/** How long what is remembered is kept, as it is. */
export function memoriesKept({ retention: { memory_days, person_days }, max_memories: most }) {
  const told = [
    memory_days
      ? `What I remember is deleted ${days(memory_days)} after it was added or last changed, or when you forget it.`
      : "What I remember is kept until you forget it, also when its conversation has expired.",
  ];
  told.push(`Of more than ${most.toLocaleString()} things the least useful ones go.`);
  if (person_days) told.push(`It goes with everything else when you have not been here for ${days(person_days)}.`);
  told.push("Backups hold what is forgotten until they are rotated away.");
  return told.join(" ");
}

const MODES = {
  offline: { label: "offline", why: "Answers come from a simple built-in program on this machine: no network, no AI model." },
  disconnected: { label: "not answering", why: "The language model does not answer at the moment." },
};

/** What is special about the language model in this state, as a label and why; nothing when it is as it should be. */
export const mode = (state) => MODES[state];
