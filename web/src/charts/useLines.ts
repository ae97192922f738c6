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
  loading: boolean;
}

const firstKnown = (line: Line): number => line.values.findIndex((value) => value !== null);

/**
 * Series that carry the same name are one line: a host's new release is a new instance with a new series, and the line of
 * the host goes on in it. Where both have a value, the later one is the host as it is now.
 */
export function joined(lines: Line[]): Line[] {
  const byName = new Map<string, Line>();
  for (const line of [...lines].sort((a, b) => firstKnown(a) - firstKnown(b))) {
    const before = byName.get(line.label);
    byName.set(line.label, before ? { ...before, values: before.values.map((value, index) => line.values[index] ?? value) } : line);
  }
  const order = [...new Set(lines.map(({ label }) => label))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return order.map((label) => byName.get(label)!);
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
    const lines = joined(results.flatMap((result, at) => result.series.map((series) => ({ label: legend(queries[at]?.legend, series.labels), values: series.values }))));
    const note = query.error ? `${query.error.message} ${query.error.advice}` : null;
    return { times: results[0]?.times ?? [wanted.from, wanted.to], lines: lines.slice(0, LINES_MAX), note, loading: query.loading };
    // The queries are named by the key.
  }, [query.data, query.error, query.loading, names]);
}
