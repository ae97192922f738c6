/** Instants and durations as a person says them. Local time, its zone always named somewhere near. */

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const clockParts = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hour12: false });
const clockSeconds = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const dayShort = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, timeZoneName: "short",
});

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

export function duration(ms: number): string {
  const abs = Math.max(0, Math.round(ms));
  if (abs < 1000) return `${abs} ms`;
  if (abs < MINUTE_MS) return `${abs < 10_000 ? (abs / 1000).toFixed(1).replace(/\.0$/, "") : Math.round(abs / 1000)} s`;
  if (abs < HOUR_MS) {
    const seconds = Math.round((abs % MINUTE_MS) / 1000);
    const minutes = Math.floor(abs / MINUTE_MS);
    return abs < 10 * MINUTE_MS && seconds > 0 && seconds < 60 ? `${minutes} min ${seconds} s` : `${Math.round(abs / MINUTE_MS)} min`;
  }
  if (abs < 2 * DAY_MS) {
    const hours = Math.floor(abs / HOUR_MS);
    const minutes = Math.round((abs % HOUR_MS) / MINUTE_MS);
    return minutes > 0 && minutes < 60 && hours < 10 ? `${hours} h ${minutes} min` : `${Math.round(abs / HOUR_MS)} h`;
  }
  return `${Math.round(abs / DAY_MS)} d`;
}

/** One unit is enough for how long ago something was. */
function coarse(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.round(ms / 1000)} s`;
  if (ms < HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min`;
  if (ms < 2 * DAY_MS) return `${Math.round(ms / HOUR_MS)} h`;
  return `${Math.round(ms / DAY_MS)} d`;
}

export function relative(instant: string | number, now: number): string {
  const then = typeof instant === "number" ? instant : Date.parse(instant);
  if (Number.isNaN(then)) return "";
  const ms = now - then;
  if (ms < 5000 && ms > -5000) return "just now";
  return ms > 0 ? `${coarse(ms)} ago` : `in ${coarse(-ms)}`;
}

export const absolute = (instant: string | number): string => `${full.format(new Date(instant))} (${zone})`;
export const clock = (instant: string | number): string => clockParts.format(new Date(instant));
export const clockWithSeconds = (instant: string | number): string => clockSeconds.format(new Date(instant));
export const day = (instant: string | number): string => dayShort.format(new Date(instant));

export const sameDay = (a: string | number, b: string | number): boolean => new Date(a).toDateString() === new Date(b).toDateString();

/** Today the clock is enough; before that the day stands in front. */
export function stamp(instant: string | number, now: number, seconds = false): string {
  const time = seconds ? clockWithSeconds(instant) : clock(instant);
  return sameDay(instant, now) ? time : `${day(instant)} ${time}`;
}

export function startOfDay(instant: number): number {
  const date = new Date(instant);
  date.setHours(0, 0, 0, 0);
  return date.getTime();
}

/** The next day at the same civil hour, across a change of the clocks. */
export function addDays(instant: number, days: number): number {
  const date = new Date(instant);
  date.setDate(date.getDate() + days);
  return date.getTime();
}

/** For `<input type="datetime-local">`. */
export function toLocalInput(instant: number): string {
  const date = new Date(instant);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
