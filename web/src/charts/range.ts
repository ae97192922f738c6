/**
 * Which stretch of time the graphs show, kept in the address: `?range=1h` (or any length, `3h`), or `?from=MS&to=MS` after a drag.
 * Grafana's `?from=now-3h&to=now` is read as well, and so are ends that are written out or lie before now by a length.
 */
import { useMemo } from "react";
import { niceStep, STEPS } from "../api/promql";
import type { JobInterval } from "../api/types";
import { useNow } from "../lib/clock";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../lib/time";
import { IN_ADDRESS, isUtc, stamp, useUtc, written } from "../lib/zone";
import { useParams } from "../router/router";

interface MovingRange {
  name: string;
  ms: number;
  text: string;
}

export const RANGES: MovingRange[] = [
  // Short enough for steps of a second, as targets under a deploy are asked.
  { name: "5m", ms: 5 * MINUTE_MS, text: "5 min" },
  { name: "15m", ms: 15 * MINUTE_MS, text: "15 min" },
  { name: "1h", ms: HOUR_MS, text: "1 h" },
  { name: "6h", ms: 6 * HOUR_MS, text: "6 h" },
  { name: "24h", ms: DAY_MS, text: "24 h" },
  { name: "7d", ms: 7 * DAY_MS, text: "7 d" },
  { name: "30d", ms: 30 * DAY_MS, text: "30 d" },
];

const REFRESH_MIN_MS = 5_000;

/** As long as anybody looks back, and shorter than a step of a second would be a point. */
const LENGTH_MS_MAX = 10 * 365 * DAY_MS;
const LENGTH_MS_MIN = 5_000;

const LENGTH = /^(\d{1,4})([smhdw])$/;
const LENGTH_UNITS: Record<string, [ms: number, word: string]> = { s: [1000, "s"], m: [MINUTE_MS, "min"], h: [HOUR_MS, "h"], d: [DAY_MS, "d"], w: [7 * DAY_MS, "w"] };

/** The range that moves with the clock and has this name, which is its length: `3h`, `2d`. */
export function movingRange(name: string): MovingRange | undefined {
  const [, count, letter] = LENGTH.exec(name) ?? [];
  const [unit, word] = LENGTH_UNITS[letter ?? ""] ?? [0, ""];
  const ms = Number(count) * unit;
  if (!(ms >= LENGTH_MS_MIN && ms <= LENGTH_MS_MAX)) return undefined;
  return RANGES.find((range) => range.name === name) ?? { name, ms, text: `${Number(count)} ${word}` };
}

/** The name of a range as somebody types it, `90m` or `now-90m`; null where it is no length. */
export function lengthOf(text: string): string | null {
  const name = text.trim().replace(/^now-/, "");
  return movingRange(name) ? name : null;
}

/** The name of the range that moves from `now-3h` to `now`, as Grafana writes it; null where the two say anything else. */
export function movingOf(from: string, to: string): string | null {
  const [, length = ""] = /^now-(\w+)$/.exec(from.trim()) ?? [];
  return to.trim() === "now" && movingRange(length) ? length : null;
}

export interface Range {
  fromMs: number;
  toMs: number;
  /** The name of a range that moves with the clock; null for a fixed one. */
  name: string | null;
  text: string;
  /** Seconds between the points, where they are not as far apart as such a range has them. */
  step?: number;
  /** What is scraped how often, where queries are filled in. */
  scraped?: JobInterval[];
  /** It is not known yet what is scraped how often: queries that go by it wait. */
  waits?: boolean;
}

/** Of a line whose step somebody chose. */
const CHOSEN_POINTS_MAX = 5_000;
const CHOSEN_POINTS_MIN = 10;

/** The steps that can be chosen for a range, in seconds. */
export function stepsOf({ fromMs, toMs }: Range): number[] {
  const points = (step: number): number => (toMs - fromMs) / 1000 / step;
  return STEPS.filter((step) => points(step) <= CHOSEN_POINTS_MAX && points(step) >= CHOSEN_POINTS_MIN);
}

/** The range with a step, or with the next longer one that it can have; as it is where none was chosen. */
export function stepped(range: Range, wanted: number): Range {
  const step = wanted > 0 ? stepsOf(range).find((one) => one >= wanted) : undefined;
  return step === undefined ? range : { ...range, step };
}

/** How often a moving range asks again: a step's length, but never faster than every 5 s. */
const refreshMs = (ms: number): number => Math.max(REFRESH_MIN_MS, niceStep(ms / 1000) * 1000);

export function useMovingRange(name: string): Range {
  const known = useMemo(() => movingRange(name) ?? RANGES[2]!, [name]);
  const step = refreshMs(known.ms);
  const now = useNow(step);
  return useMemo(
    () => ({ fromMs: now + step - known.ms, toMs: now + step, name: known.name, text: `last ${known.text}` }),
    [now, step, known],
  );
}

/** The address of what is seen now: a moving range is pinned to its ends. */
export function linkOf(range: Range): string {
  const url = new URL(location.href);
  url.searchParams.delete("range");
  url.searchParams.set("from", String(Math.round(range.fromMs)));
  url.searchParams.set("to", String(Math.round(range.toMs)));
  // Who looks at it sees the clock that was talked about.
  if (isUtc()) url.searchParams.set(IN_ADDRESS, "utc");
  return url.href;
}

/** What an instant may look like besides the browser's own fields: seconds and milliseconds since the epoch. */
const EPOCH_S = /^\d{9,10}(?:\.\d+)?$/;
const EPOCH_MS = /^\d{12,13}$/;
/** Without a zone it is the one that is shown. */
const WRITTEN = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** An instant as somebody types it, `now-3h` among them; null when it is none. */
export function readInstant(text: string, now = Date.now()): number | null {
  const plain = text.trim();
  if (plain === "now") return now;
  if (plain.startsWith("now-")) {
    const back = movingRange(plain.slice("now-".length));
    return back ? now - back.ms : null;
  }
  if (EPOCH_S.test(plain)) return Math.round(Number(plain) * 1000);
  if (EPOCH_MS.test(plain)) return Number(plain);
  const hit = WRITTEN.exec(plain);
  if (!hit) return null;
  const ofUtc = isUtc() && !hit[1] ? "Z" : "";
  const instant = Date.parse(`${plain.length === 10 ? `${plain}T00:00` : plain.replace(" ", "T")}${ofUtc}`);
  if (Number.isNaN(instant)) return null;
  // A browser may take 30 February for 2 March.
  const [day, date] = [plain.slice(0, 10), new Date(`${plain.slice(0, 10)}T00:00Z`)];
  return Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== day ? null : instant;
}

/** Both ends, or what is wrong with them. */
export function readRange(from: string, to: string, now = Date.now()): { fromMs: number; toMs: number } | string {
  const like = "like 2026-01-31 12:30:00, seconds since 1970, or now-3h";
  const [fromMs, toMs] = [readInstant(from, now), readInstant(to, now)];
  if (fromMs === null) return from.trim() ? `“${from.trim()}” is no instant: write it ${like}.` : `It has no beginning: write it ${like}.`;
  if (toMs === null) return to.trim() ? `“${to.trim()}” is no instant: write it ${like}.` : `It has no end: write it ${like}.`;
  if (toMs <= fromMs) return "It ends before it begins: exchange the two.";
  if (toMs - fromMs < LENGTH_MS_MIN) return "It is shorter than 5 s: choose an end further on.";
  if (toMs - fromMs > LENGTH_MS_MAX) return "It is longer than ten years: choose a later beginning.";
  return { fromMs, toMs };
}

/** Half a length earlier or later. */
export function shifted({ fromMs, toMs }: Range, way: "earlier" | "later"): { fromMs: number; toMs: number } {
  const by = ((way === "later" ? 1 : -1) * (toMs - fromMs)) / 2;
  return { fromMs: Math.round(fromMs + by), toMs: Math.round(toMs + by) };
}

/** Twice as long around the same middle, but no further into what has not happened yet. */
export function widened({ fromMs, toMs }: Range, now: number): { fromMs: number; toMs: number } {
  const length = Math.min(2 * (toMs - fromMs), LENGTH_MS_MAX);
  const to = Math.min(toMs + length / 4, Math.max(toMs, now));
  return { fromMs: Math.round(to - length), toMs: Math.round(to) };
}

/** An instant as the fields take it, in the zone that is shown. */
export const writeInstant = (ms: number): string => written(ms);

/** Short enough to see the deploy of a minute ago. */
const RANGE_DEFAULT = "15m";

/** What the two ends of an address say; null where they are none, or move with the clock. Numbers are milliseconds. */
function endsOf(from: string, to: string): { fromMs: number; toMs: number } | null {
  const [first, last] = [Number(from), Number(to)];
  if (first > 0 && last > first) return { fromMs: first, toMs: last };
  if (from === "" || movingOf(from, to)) return null;
  const read = readRange(from, to);
  return typeof read === "string" ? null : read;
}

/** The range of the address; `fixed` is what stands where it says nothing, in milliseconds. */
export function useRange(otherwise = RANGE_DEFAULT, fixed?: { from: number; to: number }): Range {
  const params = useParams();
  const silent = fixed && !params.get("range") && !params.get("from");
  const from = silent ? String(fixed.from) : params.get("from");
  const to = silent ? String(fixed.to) : params.get("to", "now");
  const moving = useMovingRange(movingOf(from, to) ?? params.get("range", otherwise));
  // What is counted back from now stands still as it was when the page was opened.
  const utc = useUtc();
  const ends = useMemo(() => endsOf(from, to), [from, to, utc]);
  return useMemo(() => {
    if (!ends) return moving;
    const { fromMs, toMs } = ends;
    return { fromMs, toMs, name: null, text: `${stamp(fromMs, Date.now())} to ${stamp(toMs, Date.now())}` };
    // Its words are in the zone that is shown.
  }, [ends, moving, utc]);
}
