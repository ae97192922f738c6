/** By which ways a page reaches a person, in the order in which they ring. */
import type { Page, Person, ReadinessPerson } from "../../api/types";
import type { Look } from "../../lib/status";
import { channelOf, defaultRules, formOf, waysOf } from "../settings/reach";

export interface RingingWay {
  channel: string;
  text: string;
  /** Where it leads to; empty where the address is a secret. */
  to: string;
  /** Seconds after the page was decided; nothing where it does not ring at all. */
  critical: number | null;
  other: number | null;
}

/** Their addresses are what people call each other by, and no secrets. */
const SHOWN = ["mail", "irc", "sms", "voice", "matrix", "telegram"];

export function ringingWays(person: Pick<Person, "contact" | "timezone" | "browsers">): RingingWay[] {
  const form = formOf(person);
  const addresses = new Map([["mail", form.email], ["irc", form.irc], ...form.ways.map(({ channel, to }) => [channel, to] as const)]);
  const [critical, other] = [form.critical, form.other].map((rows) => new Map((rows.length > 0 ? rows : defaultRules(form)).map(({ channel, after }) => [channel, Number(after) || 0])));
  const ways = waysOf(form).map((channel) => ({
    channel,
    text: channelOf(channel).text,
    to: SHOWN.includes(channel) ? addresses.get(channel) ?? "" : "",
    critical: critical?.get(channel) ?? null,
    other: other?.get(channel) ?? null,
  }));
  return ways.sort((a, b) => (a.critical ?? Infinity) - (b.critical ?? Infinity));
}

/** The ways as a sentence goes on. The page itself shows every page, and proves nothing. */
export const waysInWords = (person: Pick<Person, "contact" | "timezone" | "browsers">): string =>
  [...ringingWays(person).map(({ text, to }) => (to ? `${text.toLowerCase()} (${to})` : text)), "this page"].join(", ");

/** Pages that wait for somebody. */
export const waitingFor = (pages: Page[], login: string): Page[] =>
  pages.filter((page) => page.person === login && !page.copy && ["due", "sending", "delivered", "failed"].includes(page.state));

/** The newest test page of somebody; tests belong to no incident. */
export const lastTest = (pages: Page[], login: string): Page | undefined =>
  pages.filter((page) => page.person === login && page.incident === 0).sort((a, b) => Date.parse(b.due_at) - Date.parse(a.due_at))[0];

export function readinessLook(person: ReadinessPerson): [Look, string] {
  if (person.unreachable) return ["critical", "Unreachable"];
  return person.ready ? ["ok", "Ready"] : ["warning", "To mend"];
}
