/** Exemplars of a panel's queries: which are drawn, where they lead, and what they say. */
import { queryExemplars, span, type Exemplar } from "../api/promql";
import type { PanelQuery } from "../api/types";
import { useQuery, type QueryState } from "../api/useQuery";
import { format } from "../lib/units";
import type { Range } from "./range";
import { waits } from "./scraped";

/** A point on the canvas: where it lies on the value axis, and what it stands for. */
export interface Point {
  y: number;
  exemplar: Exemplar;
}

const NONE: Exemplar[] = [];
/** Side by side on the narrowest graph, diamonds do not become a line. */
const SLOTS = 60;
/** Names under which traces go, the usual first: OpenTelemetry's, Jaeger's and Tempo's. */
const TRACE_NAMES = ["trace_id", "traceID", "traceId", "trace"];

/**
 * In each stretch of so many seconds the highest, and below it those that stand apart by two standard deviations: as Prometheus' own page chooses, so
 * that the outlier somebody looks for is there and a thousand alike are one point.
 */
export function thinned(exemplars: Exemplar[], step: number): Exemplar[] {
  const known = exemplars.filter(({ value }) => Number.isFinite(value));
  const mean = known.reduce((sum, { value }) => sum + value, 0) / known.length;
  const apart = 2 * Math.sqrt(known.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / known.length);
  const last = new Map<number, number>();
  return known
    .sort((a, b) => b.value - a.value)
    .filter(({ time, value }) => {
      const slot = Math.floor(time / step);
      const before = last.get(slot);
      if (before !== undefined && (apart === 0 || before - value < apart)) return false;
      last.set(slot, value);
      return true;
    })
    .sort((a, b) => a.time - b.time);
}

/** The label that names the trace, and its value. */
export function traceOf({ labels }: Exemplar): [string, string] | null {
  const name = TRACE_NAMES.find((one) => labels[one]) ?? Object.keys(labels).find((one) => /trace/i.test(one) && labels[one]);
  return name ? [name, labels[name]!] : null;
}

/** The address that a label's value is; only of the web, since programs write these labels and somebody follows them. */
export function hrefOf(value: string): string | null {
  if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) return null;
  return new URL(value).href;
}

/** An exemplar is one observation: never a rate or a share, even where its panel shows one. */
export const valueText = (value: number, unit: string): string => format(value, unit === "seconds" || unit === "bytes" ? unit : "short");

export interface Exemplars {
  list: Exemplar[];
  error: string | null;
}

export function useExemplars(queries: PanelQuery[], range: Range, wanted: boolean): Exemplars {
  const at = span(range.fromMs, range.toMs);
  const exprs = queries.map(({ expr }) => expr);
  const names = exprs.join("\n");
  const query: QueryState<Exemplar[]> = useQuery(
    wanted && !waits(exprs, range) ? `exemplars:${range.name ?? `${at.from}-${at.to}`}:${names}` : null,
    async () => {
      const now = range.name ? span(Date.now() - (range.toMs - range.fromMs), Date.now()) : at;
      // One answer for several queries of the same series would draw each twice.
      const all = (await Promise.all([...new Set(exprs)].map((expr) => queryExemplars(expr, now)))).flat();
      return thinned([...new Map(all.map((one) => [JSON.stringify(one), one])).values()], Math.max(now.step, (now.to - now.from) / SLOTS));
    },
    range.name ? { everyMs: Math.max(15_000, at.step * 1000) } : {},
  );
  if (!wanted) return { list: NONE, error: null };
  return { list: query.data ?? NONE, error: query.error ? `Exemplars: ${query.error.message} ${query.error.advice}` : null };
}
