/** A panel's queries, asked for one stretch of time and made into lines. */
import { useMemo } from "react";
import { legend, queryRange, span, type RangeResult, type Series } from "../api/promql";
import type { PanelQuery } from "../api/types";
import { useQuery, type QueryState } from "../api/useQuery";
import type { Line } from "./summary";
import type { Range } from "./range";
import { appends, pace, useIsLive, useLive } from "./useLive";

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

const NONE: RangeResult[] = [];
const ASK_MS_MIN = 5_000;

/** The range answers of queries. A moving range is followed live; while that is not possible it is asked again and again. */
export function useRanges(kind: string, queries: PanelQuery[], range: Range): QueryState<RangeResult[]> {
  const wanted = span(range.fromMs, range.toMs, range.step);
  const exprs = queries.map(({ expr }) => expr);
  // A moving range keeps one key, so that the last answer stays in place while the next is asked.
  const key = `${kind}:${range.name ?? `${wanted.from}-${wanted.to}`}:${wanted.step}:${exprs.join("\n")}`;
  const live = useIsLive(exprs, wanted.step);
  const query = useQuery<RangeResult[]>(
    key,
    () => {
      const length = range.toMs - range.fromMs;
      const now = range.name ? span(Date.now() - length, Date.now(), range.step) : wanted;
      return Promise.all(exprs.map((expr) => queryRange(expr, now)));
    },
    range.name ? { everyMs: pace(live, Math.max(ASK_MS_MIN, wanted.step * 1000)) } : {},
  );
  // What cannot be asked is not followed either.
  useLive(range.name && query.data ? key : null, exprs, wanted.step, appends(exprs, wanted.step));
  return query;
}

/** `keep` says which of the series are drawn, before any is cut for there being too many. It has to be the same one each time. */
export function useLines(queries: PanelQuery[], range: Range, keep?: (series: Series[]) => Series[]): Lines {
  const wanted = span(range.fromMs, range.toMs);
  const query = useRanges("lines", queries, range);
  const legends = queries.map((one) => one.legend ?? "").join("\n");
  return useMemo(() => {
    const results = query.data ?? NONE;
    const lines = joined(results.flatMap((result, at) => (keep ? keep(result.series) : result.series).map((series) => ({ label: legend(queries[at]?.legend, series.labels), values: series.values }))));
    const note = query.error ? `${query.error.message} ${query.error.advice}` : null;
    return { times: results[0]?.times ?? [wanted.from, wanted.to], lines: lines.slice(0, LINES_MAX), note, loading: query.loading };
    // The queries are named by the key.
  }, [query.data, query.error, query.loading, legends, keep]);
}
