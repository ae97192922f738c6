/** What somebody writes into the form of a lock, and what the server is sent. */
import type { LockKind, NewLock } from "../../api/types";
import { DAY_MS } from "../../lib/time";

export interface LockDraft {
  kind: LockKind;
  /** All services of the environment; of a freeze only. */
  everything: boolean;
  reason: string;
  /** Minutes from now, or "" where `until` says the end. */
  minutes: string;
  /** As `<input type="datetime-local">` has it. */
  until: string;
  /** When a freeze begins; now where it is empty. */
  from: string;
  /** Branch, tag or commit of a pin; the service's branch where it is empty. */
  ref: string;
}

export const NO_LOCK: LockDraft = { kind: "lock", everything: false, reason: "", minutes: "60", until: "", from: "", ref: "" };

export const DURATIONS: [string, string][] = [["30", "30 min"], ["60", "1 h"], ["240", "4 h"], ["1440", "24 h"], ["10080", "7 d"], ["", "until…"]];

export const KINDS: { kind: LockKind; text: string; hint: string }[] = [
  { kind: "lock", text: "Lock", hint: "Nobody but you deploys." },
  { kind: "freeze", text: "Freeze", hint: "Nobody deploys, you neither. It may begin later." },
  { kind: "pin", text: "Pin", hint: "One commit may be deployed and no other." },
];

/** The most days that each may last. */
const DAYS_MAX: Record<LockKind, number> = { lock: 31, pin: 31, freeze: 366 };

/** The body to send, or what is wrong with the form. `now` is in milliseconds. */
export function lockOf(draft: LockDraft, service: string, environment: string, now: number): NewLock | string {
  const { kind, reason, minutes, until, from, ref } = draft;
  const everything = draft.everything && kind === "freeze";
  if (!reason.trim()) return "A reason is missing.";
  const begin = kind === "freeze" && from ? Date.parse(from) : now;
  const end = minutes ? begin + Number(minutes) * 60_000 : Date.parse(until);
  if (Number.isNaN(begin)) return "The begin is not an instant.";
  if (Number.isNaN(end)) return "Say when it ends.";
  if (end <= now) return "It ends in the past.";
  if (end <= begin) return "It ends before it begins.";
  if (end - now > DAYS_MAX[kind] * DAY_MS) return `A ${kind} ends within ${DAYS_MAX[kind]} days.`;
  return {
    service: everything ? "*" : service, environment, kind, reason: reason.trim(), expires_at: new Date(end).toISOString(),
    ...(kind === "freeze" && from ? { from: new Date(begin).toISOString() } : {}),
    ...(kind === "pin" && ref.trim() ? { ref: ref.trim() } : {}),
  };
}
