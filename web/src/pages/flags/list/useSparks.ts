/** How often the flags in sight were asked for in each of the last 24 hours. */
import { useEffect, useMemo, useRef, useState } from "react";
import { queryRange } from "../../../api/promql";
import { HOUR_MS } from "../../../lib/time";

export type Sparks = Map<string, { values: (number | null)[]; total: number }>;

/** Asked for together: a screenful, not the list. */
const KEYS_MAX = 80;
/** Scrolling past costs no question. */
const SETTLE_MS = 200;
const FRESH_MS = 5 * 60_000;

const escaped = (key: string): string => key.replace(/[.]/g, "\\\\.");

export function useSparks(keys: string[]): Sparks {
  const known = useRef(new Map<string, { at: number; values: (number | null)[]; total: number }>());
  const [round, setRound] = useState(0);
  const names = keys.slice(0, KEYS_MAX).join(",");

  useEffect(() => {
    const missing = names.split(",").filter((key) => key && Date.now() - (known.current.get(key)?.at ?? 0) > FRESH_MS);
    if (missing.length === 0) return undefined;
    let gone = false;
    const timer = window.setTimeout(() => {
      const step = HOUR_MS / 1000;
      const to = Math.floor(Date.now() / HOUR_MS) * step + step;
      const expr = `sum by (flag) (increase(tenfold_flag_evaluations_total{flag=~"${missing.map(escaped).join("|")}"}[1h]))`;
      // Without figures the rows stand without lines; the page says nothing of it.
      queryRange(expr, { from: to - 24 * step, to, step }).then(
        ({ series }) => {
          if (gone) return;
          const at = Date.now();
          for (const key of missing) known.current.set(key, { at, values: [], total: 0 });
          for (const { labels, values } of series) {
            if (!labels.flag) continue;
            const total = Math.round(values.reduce<number>((sum, value) => sum + (value ?? 0), 0));
            // An hour in which nothing was counted is an hour in which nobody asked.
            known.current.set(labels.flag, { at, values: values.map((value) => value ?? 0), total });
          }
          setRound((n) => n + 1);
        },
        () => undefined,
      );
    }, SETTLE_MS);
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [names]);

  return useMemo(() => new Map([...known.current].filter(([, spark]) => spark.values.some((value) => value !== null))), [round]);
}
