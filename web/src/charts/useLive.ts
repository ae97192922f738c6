/** Keeps what a hook asked for new by the live stream, and says whether it does. */
import { useEffect, useSyncExternalStore } from "react";
import { liveQueries, type News } from "../api/live";
import { queryRange, type RangeResult } from "../api/promql";
import { amend } from "../api/useQuery";
import { extended, untilOf } from "./follow";

/** Samples that come later than the stream tells again are found by asking from time to time. */
const AGAIN_MS = 5 * 60_000;

/** How often to ask: seldom what is told. */
export const pace = (live: boolean, everyMs: number): number => (live ? AGAIN_MS : everyMs);

interface Takes {
  news: (place: number, news: News) => void;
  /** The stream is back after a break. */
  back: (place: number) => void;
}

/** Whether each of these is being told. */
export function useIsLive(exprs: string[], step: number): boolean {
  return useSyncExternalStore(liveQueries.onState, () => exprs.length > 0 && exprs.every((expr) => liveQueries.isLive(expr, step)));
}

/** Follows queries for the answer under a key, which names them; without a key none. */
export function useLive(key: string | null, exprs: string[], step: number, takes: (key: string) => Takes): void {
  useEffect(() => {
    if (key === null) return undefined;
    const { news, back } = takes(key);
    const stops = exprs.map((expr, place) => liveQueries.follow(expr, step, {
      news: (told) => news(place, told),
      back: () => back(place),
    }));
    return () => stops.forEach((stop) => stop());
    // The key names the queries, and what is done with them.
  }, [key, step]);
}

/** Appends to range answers. What is missing between is asked for, from the last point that is there. */
export const appends = (exprs: string[], step: number) => (key: string): Takes => {
  const asking = new Set<number>();
  const ask = async (place: number, to: number): Promise<void> => {
    let from = to;
    amend<RangeResult[]>(key, (results) => {
      const result = results[place];
      // What lies before the window is over.
      if (result) from = Math.max(untilOf(result), to - (result.times.length - 1) * step);
      return results;
    });
    if (asking.has(place)) return;
    asking.add(place);
    try {
      const points = await queryRange(exprs[place] ?? "", { from, to, step });
      amend<RangeResult[]>(key, (results) => extended(results, place, { from, to, missed: false, points }, step, true) ?? results);
    } catch {
      // The next news tells of the same gap.
    } finally {
      asking.delete(place);
    }
  };
  return {
    news: (place, told) => {
      let gap = false;
      amend<RangeResult[]>(key, (results) => {
        const next = extended(results, place, told, step);
        gap = next === null;
        return next ?? results;
      });
      if (gap) void ask(place, told.to);
    },
    back: (place) => void ask(place, Math.floor(Date.now() / 1000 / step) * step),
  };
};
