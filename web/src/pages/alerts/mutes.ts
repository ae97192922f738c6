/** A mute as a form holds it, and back; what a calendar draws of its turns. */
import type { Mute, MuteTurn, NewMute } from "../../api/types";
import type { Look } from "../../lib/status";
import { addDays, clock, DAY_MS, HOUR_MS, startOfDay, toLocalInput, zone } from "../../lib/time";
import { parseMatchers, showMatchers } from "./matchers";

export type Kind = "silence" | "downtime" | "maintenance";
export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
/** How long a maintenance goes on coming back unless its end is said. */
const MAINTENANCE_MS = 90 * DAY_MS;

export interface MuteForm {
  kind: Kind;
  matchers: string;
  reason: string;
  /** Empty is now. */
  start: string;
  /** Milliseconds from the start, or "" for the instant in `end`. */
  length: string;
  end: string;
  recurs: string;
}

export const emptyForm = (matchers: string, now: number): MuteForm => ({
  kind: "silence", matchers, reason: "", start: "", length: String(HOUR_MS), end: toLocalInput(now + DAY_MS), recurs: "",
});

export function formOf(mute: Mute, now: number): MuteForm {
  return {
    kind: mute.kind === "downtime" || mute.kind === "maintenance" ? mute.kind : "silence",
    matchers: showMatchers(mute.matchers),
    reason: mute.reason,
    start: Date.parse(mute.starts_at) > now ? toLocalInput(Date.parse(mute.starts_at)) : "",
    length: "",
    end: toLocalInput(Date.parse(mute.expires_at)),
    recurs: mute.recurs_text,
  };
}

/** The kind changed: what goes with it. */
export function withKind(form: MuteForm, kind: Kind, now: number): MuteForm {
  if (kind === "maintenance") {
    return { ...form, kind, length: "", end: toLocalInput(now + MAINTENANCE_MS), recurs: form.recurs || timesText(["sun"], "02:00", "04:00") };
  }
  return { ...form, kind, length: form.kind === "maintenance" ? String(HOUR_MS) : form.length };
}

/** Days and hours as the server reads them, in the reader's zone unless another is said. */
export function timesText(days: readonly string[], from: string, to: string, place: string = zone): string {
  const end = from === "00:00" && to === "00:00" ? "24:00" : to;
  return [DAYS.filter((day) => days.includes(day)).join(" "), `${from}-${end}`, place].filter(Boolean).join(" ");
}

export interface Times {
  days: string[];
  from: string;
  to: string;
  zone: string;
}

const ONE = /^((?:(?:mon|tue|wed|thu|fri|sat|sun) )*)(\d\d:\d\d)-(\d\d:\d\d)( [A-Za-z_]+(?:\/[\w+-]+)*)?$/;

function oneOf(text: string): Times | null {
  const found = ONE.exec(text.trim());
  if (!found) return null;
  const [, days = "", from = "", to = "", place = ""] = found;
  return { days: days.split(" ").filter(Boolean), from, to, zone: place.trim() };
}

const nextDays = (days: readonly string[]): string[] => days.map((one) => DAYS[(DAYS.findIndex((day) => day === one) + 1) % DAYS.length]!);

/** The days and hours of a text, where it says nothing else; null where only the text itself can say it. */
export function timesOf(text: string): Times | null {
  const parts = text.split(";").map(oneOf);
  const [evening, morning] = parts;
  if (!evening || parts.length > 2) return null;
  // A day ends at 24:00 there, at 00:00 on the form.
  if (parts.length === 1) return { ...evening, to: evening.to === "24:00" ? "00:00" : evening.to };
  // What goes past midnight is written as its two halves.
  if (!morning || evening.to !== "24:00" || morning.from !== "00:00" || evening.zone !== morning.zone) return null;
  const same = [...nextDays(evening.days)].sort().join() === [...morning.days].sort().join();
  return same ? { ...evening, to: morning.to } : null;
}

/** What is sent; throws a sentence for a person. */
export function bodyOf(form: MuteForm, now: number): NewMute {
  const matchers = parseMatchers(form.matchers);
  if (!matchers) throw new Error('Write matchers such as service="photos", severity="warning".');
  const start = form.start ? Date.parse(form.start) : null;
  const end = form.length ? (start ?? now) + Number(form.length) : Date.parse(form.end);
  if (Number.isNaN(end)) throw new Error("Say when it ends.");
  if (end <= (start ?? now)) throw new Error("It would end before it begins.");
  if (form.kind === "maintenance" && !form.recurs.trim()) throw new Error("Say when it comes back, like: sun 02:00-04:00.");
  return {
    matchers: matchers as unknown as Record<string, unknown>,
    reason: form.reason.trim(),
    expires_at: new Date(end).toISOString(),
    kind: form.kind,
    ...(start === null ? {} : { starts_at: new Date(start).toISOString() }),
    ...(form.kind === "maintenance" ? { recurs_text: form.recurs } : {}),
  };
}

/** Three states of the store, and one more: a maintenance between its turns. */
export function stateOf(mute: Mute, now: number): [Look, string] {
  if (mute.state === "expired" || Date.parse(mute.expires_at) <= now) return ["quiet", "Over"];
  // The server's clock counts for what has begun; this page's may be some seconds behind.
  if (mute.state === "pending" && Date.parse(mute.starts_at) > now) return ["unknown", "To come"];
  if (mute.recurs.length > 0 && !mute.holds && !(mute.next && Date.parse(mute.next.from) <= now)) return ["unknown", "Between turns"];
  return ["busy", "Active"];
}

export const startOfWeek = (instant: number): number => {
  const today = startOfDay(instant);
  return addDays(today, -((new Date(today).getDay() + 6) % 7));
};

export interface DayTurn {
  mute: number;
  from: number;
  to: number;
  text: string;
}

/** What of the turns falls on the day that starts at `start`. */
export function turnsOf(turns: MuteTurn[], start: number, end: number): DayTurn[] {
  return turns
    .map((turn) => ({ mute: turn.mute, from: Math.max(start, Date.parse(turn.from)), to: Math.min(end, Date.parse(turn.to)) }))
    .filter(({ from, to }) => to > from)
    .map((turn) => ({ ...turn, text: hours(turn.from, turn.to, start, end) }));
}

function hours(from: number, to: number, start: number, end: number): string {
  if (from <= start && to >= end) return "all day";
  if (from <= start) return `until ${clock(to)}`;
  if (to >= end) return `from ${clock(from)}`;
  return `${clock(from)}–${clock(to)}`;
}
