/** What the form of a person's channels, notification rules and quiet hours holds, and how it becomes a contact and comes from one. */
import type { Person } from "../../api/types";

export interface Channel { name: string; text: string; address: string; hint: string }
export interface Way { channel: string; to: string }
export interface Reach {
  email: string;
  irc: string;
  webhook: string;
  /** In how many browsers pages are turned on; it is not set here. */
  browsers: number;
  ways: Way[];
  timezone: string;
  quiet: boolean;
  from: string;
  to: string;
  quietBy: string[];
  critical: MethodRow[];
  other: MethodRow[];
}
/** A line of the notification rules; seconds as they are typed. */
export interface MethodRow { channel: string; after: string }
export type RulesOf = "critical" | "other";
type Contact = NonNullable<Person["contact"]>;
type Method = NonNullable<NonNullable<Contact["rules"]>["critical"]>[number];

const rowsOf = (methods: Method[] | undefined): MethodRow[] => (methods ?? []).map(({ channel, after_s = 0 }) => ({ channel, after: String(after_s) }));

const hook = "The address of an incoming webhook; it is shown to nobody but you and admins.";

export const CHANNELS: Channel[] = [
  { name: "slack", text: "Slack", address: "Address", hint: hook },
  { name: "mattermost", text: "Mattermost", address: "Address", hint: hook },
  { name: "discord", text: "Discord", address: "Address", hint: hook },
  { name: "teams", text: "Teams", address: "Address", hint: hook },
  { name: "telegram", text: "Telegram", address: "Chat", hint: "Its number, or @ and the name of a channel." },
  { name: "matrix", text: "Matrix", address: "Room", hint: "Such as !abc:example.org." },
  { name: "ntfy", text: "ntfy", address: "Topic", hint: "Its address, such as https://ntfy.sh/my-topic." },
  { name: "gotify", text: "Gotify", address: "Token", hint: "Of an application of yours." },
  { name: "pushover", text: "Pushover", address: "User key", hint: "Yours." },
  { name: "pagerduty", text: "PagerDuty", address: "Routing key", hint: "Of an integration of Events API v2." },
  { name: "opsgenie", text: "Opsgenie", address: "API key", hint: "Of an API integration." },
  { name: "sms", text: "Text message", address: "Number", hint: "With its country, such as +4930123456." },
  { name: "voice", text: "Call", address: "Number", hint: "With its country, such as +4930123456." },
];

/** In the order in which they ring, browsers stand behind it. */
const BEFORE_BROWSERS = "pushover";

/** Without own rules each way comes this long after the one before it. */
export const NEXT_AFTER_S = 30;
export const AFTER_S_MAX = 3600;

const OWN: Record<string, string> = { mail: "Mail", irc: "IRC", webhook: "Webhook", webpush: "Browser" };

export const channelOf = (name: string): Channel =>
  CHANNELS.find((channel) => channel.name === name) ?? { name, text: OWN[name] ?? name, address: "Address", hint: "" };

/** The ways that are there, in the order in which they ring without own rules. */
export const waysOf = (form: Pick<Reach, "email" | "irc" | "webhook" | "browsers" | "ways">): string[] => {
  const chosen = new Set(form.ways.map(({ channel }) => channel));
  return [
    ...(form.email ? ["mail"] : []), ...(form.irc ? ["irc"] : []), ...(form.webhook ? ["webhook"] : []),
    ...CHANNELS.flatMap(({ name }) => [...(chosen.has(name) ? [name] : []), ...(name === BEFORE_BROWSERS && form.browsers > 0 ? ["webpush"] : [])]),
  ];
};

/** The rules that say what holds without any. */
export const defaultRules = (form: Reach): MethodRow[] =>
  waysOf(form).map((channel, index) => ({ channel, after: String(index * NEXT_AFTER_S) }));

export function formOf(person: Pick<Person, "contact" | "timezone" | "browsers">): Reach {
  const contact: Contact = person.contact ?? {};
  const { quiet } = contact;
  return {
    email: contact.email ?? "",
    irc: contact.irc ?? "",
    webhook: contact.webhook ?? "",
    browsers: person.browsers ?? 0,
    ways: Object.entries(contact.channels ?? {}).map(([channel, to]) => ({ channel, to })),
    timezone: person.timezone,
    quiet: Boolean(quiet),
    from: quiet?.from ?? "22:00",
    to: quiet?.to ?? "07:00",
    quietBy: quiet?.channels ?? [],
    critical: rowsOf(contact.rules?.critical),
    other: rowsOf(contact.rules?.other),
  };
}

/** What is sent: channels that were removed are gone, and quiet hours know only ways that are there. */
export function contactOf(form: Reach): Contact {
  const channels = Object.fromEntries(form.ways.map(({ channel, to }) => [channel, to.trim()]));
  const there = new Set(waysOf(form));
  const contact: Contact = { email: form.email.trim(), irc: form.irc.trim(), webhook: form.webhook.trim(), channels };
  const methods = (rows: MethodRow[]): Method[] => rows.filter(({ channel }) => there.has(channel)).map(({ channel, after }, index) => ({ channel, after_s: index === 0 ? 0 : Number(after) || 0 }));
  const [critical, other] = [methods(form.critical), methods(form.other)];
  if (critical.length || other.length) contact.rules = { critical, other };
  if (form.quiet) contact.quiet = { from: form.from, to: form.to, channels: form.quietBy.filter((name) => there.has(name)) };
  return contact;
}
