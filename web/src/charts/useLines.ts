/** A panel's queries, asked for one stretch of time and made into lines. */
import { useMemo } from "react";
import { legend, queryRange, severalMetrics, span, type Note, type RangeResult, type Series } from "../api/promql";
import { firstLine } from "../api/http";
import type { PanelQuery, PanelSeries } from "../api/types";
import { useQuery, type QueryState } from "../api/useQuery";
import { styled } from "./series";
import type { Line } from "./summary";
import type { Range } from "./range";
import { waits } from "./scraped";
import { appends, pace, useIsLive, useLive } from "./useLive";

/** More lines than this are cut: a graph of fifty lines tells nothing. */
export const LINES_MAX = 24;

export interface Lines {
  times: number[];
  lines: Line[];
  note: string | null;
  loading: boolean;
  /** How many further lines there are, which are not drawn. */
  cut: number;
  /** What PromQL has to say about the answers, each once. */
  notes: Note[];
}

const firstKnown = (line: Line): number => line.values.findIndex((value) => value !== null);

/** What PromQL still tells of a series that ended. */
const LOOKBACK_S = 300;

/** A line, and at how many instants it is there. */
interface Going {
  line: Line;
  values: Line["values"];
  there: number;
}

function going(line: Line): Going {
  const { values } = line;
  return { line, values, there: values.filter((value) => value !== null).length };
}

/** Whether two lines are there side by side, and not one after the other: for longer than an end is told late, and mostly. */
function isBeside(one: Going, other: Going, step: number): boolean {
  const enough = 1 + Math.max(Math.ceil(LOOKBACK_S / step), Math.floor(Math.min(one.there, other.there) / 2));
  // Of a thousand lines that are called alike each is compared with all before it.
  let both = 0;
  for (let at = 0; at < one.values.length && both < enough; at += 1) {
    if ((one.values[at] ?? null) !== null && (other.values[at] ?? null) !== null) both += 1;
  }
  return both >= enough;
}

/**
 * Series that carry the same name are one line: a host's new release is a new instance with a new series, and the line of
 * the host goes on in it. Where both have a value, the later one is the host as it is now. Those that are there side by side stay
 * lines of their own: a legend that does not tell them apart hides none. `step` is in seconds.
 */
export function joined(lines: Line[], step = LOOKBACK_S): Line[] {
  const byName = new Map<string, Going[]>();
  for (const line of [...lines].sort((a, b) => firstKnown(a) - firstKnown(b))) {
    const all = byName.get(line.label) ?? [];
    byName.set(line.label, all);
    const next = going(line);
    const at = all.findIndex((one) => !isBeside(one, next, step));
    const before = all[at];
    if (before) all[at] = going({ ...before.line, values: before.values.map((value, index) => next.values[index] ?? value) });
    else all.push(next);
  }
  const order = [...byName.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return order.flatMap((label) => byName.get(label)!.map(({ line }, at) => (at === 0 ? line : { ...line, label: `${label} (${at + 1})` })));
}

/** What stands where lines would, when there are only histograms. */
export const HISTOGRAMS = "These are native histograms: show them as a heatmap, or ask for histogram_quantile(0.9, …) of them.";

/** A series of histograms alone is no line. */
export const isDrawn = ({ values, histograms }: Series): boolean => !histograms || values.some((value) => value !== null);

/** Of several queries the same may be said. */
export function notesOf(results: RangeResult[]): Note[] {
  const all = new Map(results.flatMap(({ notes = [] }) => notes).map((note) => [note.text, note]));
  return [...all.values()];
}

/**
 * Lines of the answers. Series of different metrics carry their metric, and those of different queries their query, where
 * nobody named them and they would be taken for one line. With `numbered` a line says of which query it is.
 */
export function linesOf(results: RangeResult[], legends: (string | null | undefined)[], numbered = false): Line[] {
  const named = severalMetrics(results.flatMap(({ series }) => series.map(({ labels }) => labels)));
  const seen = new Set<string>();
  const [first, second] = results[0]?.times ?? [];
  const step = first !== undefined && second !== undefined ? second - first : LOOKBACK_S;
  return joined(results.flatMap(({ series }, at) => {
    const lines = series.filter(isDrawn).map(({ labels, values }): Line => ({ label: legend(legends[at], labels, named), values, ...(numbered ? { query: at } : {}) }));
    const told = lines.map((line): Line => (!legends[at] && seen.has(line.label) ? { ...line, label: `query ${at + 1}: ${line.label}` } : line));
    lines.forEach(({ label }) => seen.add(label));
    return told;
  }), step);
}

const NONE: RangeResult[] = [];
const ASK_MS_MIN = 5_000;

/** The range answers of queries. A moving range is followed live; while that is not possible it is asked again and again. */
export function useRanges(kind: string, queries: PanelQuery[], range: Range): QueryState<RangeResult[]> & { reload: () => void } {
  const wanted = span(range.fromMs, range.toMs, range.step);
  const exprs = queries.map(({ expr }) => expr);
  // A moving range keeps one key, so that the last answer stays in place while the next is asked.
  const key = `${kind}:${range.name ?? `${wanted.from}-${wanted.to}`}:${wanted.step}:${exprs.join("\n")}`;
  const live = useIsLive(exprs, wanted.step);
  const query = useQuery<RangeResult[]>(
    waits(exprs, range) ? null : key,
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

/**
 * `keep` says which of the series are drawn, before any is cut for there being too many, and `series` what is set for single
 * ones. Both have to be the same each time.
 */
export function useLines(queries: PanelQuery[], range: Range, keep?: (series: Series[]) => Series[], series?: PanelSeries[]): Lines {
  const wanted = span(range.fromMs, range.toMs);
  const query = useRanges("lines", queries, range);
  const legends = queries.map((one) => one.legend ?? "").join("\n");
  return useMemo(() => {
    const results = query.data ?? NONE;
    const kept = keep ? results.map((result) => ({ ...result, series: keep(result.series) })) : results;
    const all = linesOf(kept, queries.map((one) => one.legend), series !== undefined && series.length > 0);
    const lines = styled(all, series);
    const silent = all.length === 0 && kept.some(({ series }) => series.length > 0) ? HISTOGRAMS : null;
    const note = query.error ? `${firstLine(query.error.message)} ${query.error.advice}` : silent;
    return {
      times: results[0]?.times ?? [wanted.from, wanted.to], lines: lines.slice(0, LINES_MAX), note, loading: query.loading,
      cut: Math.max(0, lines.length - LINES_MAX), notes: notesOf(kept),
    };
    // The queries are named by the key.
  }, [query.data, query.error, query.loading, legends, keep, series]);
}
