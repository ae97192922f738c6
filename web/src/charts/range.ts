/** Which stretch of time the graphs show, kept in the address: `?range=1h`, or `?from=MS&to=MS` after a drag. */
import { useMemo } from "react";
import { niceStep } from "../api/promql";
import { useNow } from "../lib/clock";
import { DAY_MS, HOUR_MS, MINUTE_MS, stamp } from "../lib/time";
import { useParams } from "../router/router";

export const RANGES: { name: string; ms: number; text: string }[] = [
  { name: "15m", ms: 15 * MINUTE_MS, text: "15 min" },
  { name: "1h", ms: HOUR_MS, text: "1 h" },
  { name: "6h", ms: 6 * HOUR_MS, text: "6 h" },
  { name: "24h", ms: DAY_MS, text: "24 h" },
  { name: "7d", ms: 7 * DAY_MS, text: "7 d" },
  { name: "30d", ms: 30 * DAY_MS, text: "30 d" },
];

const REFRESH_MIN_MS = 5_000;

export interface Range {
  fromMs: number;
  toMs: number;
  /** The name of a range that moves with the clock; null for a fixed one. */
  name: string | null;
  text: string;
}

/** How often a moving range asks again: a step's length, but never faster than every 5 s. */
const refreshMs = (ms: number): number => Math.max(REFRESH_MIN_MS, niceStep(ms / 1000) * 1000);

export function useMovingRange(name: string): Range {
  const known = RANGES.find((range) => range.name === name) ?? RANGES[1]!;
  const step = refreshMs(known.ms);
  const now = useNow(step);
  return useMemo(
    () => ({ fromMs: now + step - known.ms, toMs: now + step, name: known.name, text: `last ${known.text}` }),
    [now, step, known],
  );
}

/** The range of the address. */
/** Short enough to see the deploy of a minute ago. */
const RANGE_DEFAULT = "15m";

export function useRange(otherwise = RANGE_DEFAULT): Range {
  const params = useParams();
  const moving = useMovingRange(params.get("range", otherwise));
  const from = Number(params.get("from"));
  const to = Number(params.get("to"));
  return useMemo(() => {
    if (!(from > 0 && to > from)) return moving;
    return { fromMs: from, toMs: to, name: null, text: `${stamp(from, Date.now())} to ${stamp(to, Date.now())}` };
  }, [from, to, moving]);
}
