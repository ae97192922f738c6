/**
 * In which zone graphs write and read instants: the browser's, or UTC. Each person's choice is kept on this browser; an address
 * with `timezone=utc` or `timezone=browser` goes before it, as Grafana has them. Forms of other pages keep the browser's.
 */
import { useSyncExternalStore } from "react";
import { useParams } from "../router/router";
import * as local from "./time";

const KEY = "tenfold.zone";
export const IN_ADDRESS = "timezone";
const DAY_S = 86_400;

let reader = "";
/** Where storage is closed the choice lasts as long as the page. */
const chosen = new Map<string, boolean>();
const listeners = new Set<() => void>();

/** Whose choice it is. */
export function readAs(login: string | undefined): void {
  reader = login ?? "";
}

const key = (): string => `${KEY}.${reader}`;

function kept(): boolean {
  const known = chosen.get(reader);
  if (known !== undefined) return known;
  try {
    return localStorage.getItem(key()) === "utc";
  } catch {
    return false;
  }
}

export function isUtc(): boolean {
  const told = new URLSearchParams(location.search).get(IN_ADDRESS)?.toLowerCase();
  return told === "utc" || (told !== "browser" && kept());
}

export function chooseUtc(utc: boolean): void {
  chosen.set(reader, utc);
  try {
    if (utc) localStorage.setItem(key(), "utc");
    else localStorage.removeItem(key());
  } catch {
    // A private window keeps nothing.
  }
  listeners.forEach((listener) => listener());
}

/** Another tab's choice holds here as well. */
function moved(event: StorageEvent): void {
  if (event.key === null || event.key.startsWith(KEY)) chosen.clear();
  listeners.forEach((listener) => listener());
}
window.addEventListener("storage", moved);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether it is UTC; whoever asks is drawn again when that changes. */
export function useUtc(): boolean {
  useParams();
  return useSyncExternalStore(subscribe, isUtc);
}

const utcFormat = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => new Intl.DateTimeFormat("en-GB", { ...options, hour12: false, timeZone: "UTC" });
const clockParts = utcFormat({ hour: "2-digit", minute: "2-digit" });
const clockSeconds = utcFormat({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayShort = utcFormat({ weekday: "short", day: "numeric", month: "short" });
const full = utcFormat({ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });

type Instant = string | number;
const inUtc = (format: Intl.DateTimeFormat, instant: Instant): string => format.format(new Date(instant));
const dayOf = (instant: Instant): number => Math.floor(new Date(instant).getTime() / (1000 * DAY_S));

export const zone = (): string => (isUtc() ? "UTC" : local.zone);
export const clock = (instant: Instant): string => (isUtc() ? inUtc(clockParts, instant) : local.clock(instant));
export const clockWithSeconds = (instant: Instant): string => (isUtc() ? inUtc(clockSeconds, instant) : local.clockWithSeconds(instant));
export const day = (instant: Instant): string => (isUtc() ? inUtc(dayShort, instant) : local.day(instant));
export const absolute = (instant: Instant): string => (isUtc() ? `${inUtc(full, instant)} (UTC)` : local.absolute(instant));

/** With its zone, where that is not the one of the page around it. */
export const moment = (instant: Instant): string => (isUtc() ? `${clockWithSeconds(instant)} UTC` : clockWithSeconds(instant));

/** Under a heading that names the zone. */
export function bareStamp(instant: Instant, now: number, seconds = false): string {
  const time = seconds ? clockWithSeconds(instant) : clock(instant);
  const today = isUtc() ? dayOf(instant) === dayOf(now) : local.sameDay(instant, now);
  return today ? time : `${day(instant)} ${time}`;
}

export const stamp = (instant: Instant, now: number, seconds = false): string => (isUtc() ? `${bareStamp(instant, now, seconds)} UTC` : bareStamp(instant, now, seconds));

export function isMidnight(instant: number): boolean {
  if (isUtc()) return instant % (1000 * DAY_S) === 0;
  const at = new Date(instant);
  return at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0;
}

/** An instant as fields take it, with seconds. */
export function written(instant: number): string {
  if (isUtc()) return new Date(instant).toISOString().slice(0, 19).replace("T", " ");
  const seconds = String(new Date(instant).getSeconds()).padStart(2, "0");
  return `${local.toLocalInput(instant).replace("T", " ")}:${seconds}`;
}
