/** A panel's queries, asked for one stretch of time and made into lines. */
import { useMemo } from "react";
import { legend, queryRange, span, type RangeResult } from "../api/promql";
import type { PanelQuery } from "../api/types";
import { useQuery } from "../api/useQuery";
import type { Line } from "./summary";
import type { Range } from "./range";

/** More lines than this are cut: a graph of fifty lines tells nothing. */
export const LINES_MAX = 24;

export interface Lines {
  times: number[];
  lines: Line[];
  note: string | null;
}

export function useLines(queries: PanelQuery[], range: Range): Lines {
  const wanted = span(range.fromMs, range.toMs);
  const names = queries.map(({ expr }) => expr).join("\n");
  // A moving range keeps one key, so that the last answer stays in place while the next is asked.
  const place = range.name ?? `${wanted.from}-${wanted.to}`;
  const query = useQuery<RangeResult[]>(
    `lines:${place}:${names}`,
    () => {
      const length = range.toMs - range.fromMs;
      const now = range.name ? span(Date.now() - length, Date.now()) : wanted;
      return Promise.all(queries.map(({ expr }) => queryRange(expr, now)));
    },
    range.name ? { everyMs: Math.max(5_000, wanted.step * 1000) } : {},
  );
  return useMemo(() => {
    const results = query.data ?? [];
    const taken = new Map<string, number>();
    const lines = results.flatMap((result, at) =>
      result.series.map((series) => {
        const label = legend(queries[at]?.legend, series.labels);
        const seen = taken.get(label) ?? 0;
        taken.set(label, seen + 1);
        return { label: seen ? `${label} (${seen + 1})` : label, values: series.values };
      }),
    );
    const note = query.error ? `${query.error.message} ${query.error.advice}` : query.loading ? "Loading…" : null;
    return { times: results[0]?.times ?? [wanted.from, wanted.to], lines: lines.slice(0, LINES_MAX), note };
    // The queries are named by the key.
  }, [query.data, query.error, query.loading, names]);
}
