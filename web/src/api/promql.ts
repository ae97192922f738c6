/** Range queries in the Prometheus shape, laid on one time grid so that charts can share an axis. */
import { get } from "./http";

type Labels = Record<string, string>;

/** A native histogram as Prometheus writes it: of each bucket what bounds belong to it, the bounds, and the count. */
interface RawHistogram {
  count: string;
  sum: string;
  buckets?: [number, string, string, string][];
}

export interface RawSeries {
  metric: Labels;
  values?: [number, string][];
  value?: [number, string];
  histograms?: [number, RawHistogram][];
  histogram?: [number, RawHistogram];
}

interface Matrix {
  status: string;
  data: { resultType: string; result: RawSeries[] };
}

export interface Bucket {
  lower: number;
  upper: number;
  count: number;
}

export interface HistogramSample {
  count: number;
  sum: number;
  /** Those that hold something. */
  buckets: Bucket[];
}

export interface Series {
  labels: Labels;
  values: (number | null)[];
  /** Of native histograms, on the same times. */
  histograms?: (HistogramSample | null)[];
}

export interface RangeResult {
  /** Seconds since the epoch, evenly spaced. */
  times: number[];
  series: Series[];
  /** Until when it was told, where another query of the same graph is further on. */
  until?: number;
}

export interface TimeSpan {
  /** Seconds since the epoch. */
  from: number;
  to: number;
  step: number;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
const POINTS_MAX = 360;

export function niceStep(seconds: number): number {
  const wanted = seconds / POINTS_MAX;
  return STEPS.find((step) => step >= wanted) ?? 86400;
}

/** Both ends moved onto multiples of the step, so that reloading draws the same points. */
export function span(fromMs: number, toMs: number, wanted?: number): TimeSpan {
  const step = wanted ?? niceStep((toMs - fromMs) / 1000);
  return { from: Math.floor(fromMs / 1000 / step) * step, to: Math.floor(toMs / 1000 / step) * step, step };
}

const parsed = (text: string): number => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));

function toNumber(text: string): number | null {
  const value = parsed(text);
  return Number.isFinite(value) ? value : null;
}

function toHistogram({ count, sum, buckets = [] }: RawHistogram): HistogramSample {
  return { count: parsed(count), sum: parsed(sum), buckets: buckets.map(([, lower, upper, within]) => ({ lower: parsed(lower), upper: parsed(upper), count: parsed(within) })) };
}

/** A range query's answer on its times; samples beyond them are left out. */
export function laidOut(result: RawSeries[], { from, to, step }: TimeSpan): RangeResult {
  const count = Math.max(1, Math.round((to - from) / step) + 1);
  const times = Array.from({ length: count }, (_, index) => from + index * step);
  const laid = <Raw, Value>(samples: [number, Raw][], read: (raw: Raw) => Value): (Value | null)[] => {
    const row = new Array<Value | null>(count).fill(null);
    for (const [time, raw] of samples) {
      const index = Math.round((time - from) / step);
      if (index >= 0 && index < count) row[index] = read(raw);
    }
    return row;
  };
  const series = result.map(({ metric, values, histograms }): Series => ({
    labels: metric,
    values: laid(values ?? [], toNumber),
    ...(histograms ? { histograms: laid(histograms, toHistogram) } : {}),
  }));
  return { times, series };
}

export async function queryRange(expr: string, asked: TimeSpan): Promise<RangeResult> {
  const answer = await get<Matrix>("/api/v1/query_range", { query: expr, start: asked.from, end: asked.to, step: asked.step });
  return laidOut(answer.data.result, asked);
}

export interface PlanNode {
  depth: number;
  operation: string;
  expression: string | null;
  series: number;
  chunks: number;
  samples: number;
  rows: number;
  ms: number;
}

/** Where the time and the samples of a query went. */
export interface Explanation {
  elapsed_ms: number;
  queued_ms: number;
  threads: number;
  series: number;
  chunks: number;
  samples: number;
  held_bytes: number;
  /** A parent before its children, in the order of the text. */
  nodes: PlanNode[];
}

/** Runs the query once more for what it costs. */
export async function explainRange(expr: string, { from, to, step }: TimeSpan): Promise<Explanation> {
  const answer = await get<{ data: { explain: Explanation } }>("/api/v1/query_range", { query: expr, start: from, end: to, step, explain: 1 });
  return answer.data.explain;
}

export interface InstantSample {
  labels: Labels;
  value: number | null;
  histogram?: HistogramSample;
}
/** `at` in seconds since the epoch; now when it is left out. */
export async function queryInstant(expr: string, at?: number): Promise<InstantSample[]> {
  const answer = await get<Matrix>("/api/v1/query", { query: expr, time: at });
  if (!Array.isArray(answer.data.result)) return [];
  return answer.data.result.map(({ metric, value, histogram }) => ({ labels: metric, value: value ? toNumber(value[1]) : null, ...(histogram ? { histogram: toHistogram(histogram[1]) } : {}) }));
}

/** One observation behind a series, as its program kept it: mostly with the trace it was part of. */
export interface Exemplar {
  /** Of the series. */
  series: Labels;
  /** Its own. */
  labels: Labels;
  value: number;
  /** Seconds since the epoch. */
  time: number;
}

/** The exemplars of every series that the expression reads. */
export async function queryExemplars(expr: string, { from, to }: TimeSpan): Promise<Exemplar[]> {
  const answer = await get<{ data: { seriesLabels: Labels; exemplars: { labels: Labels; value: string; timestamp: number }[] }[] }>("/api/v1/query_exemplars", { query: expr, start: from, end: to });
  return answer.data.flatMap(({ seriesLabels, exemplars }) =>
    exemplars.map(({ labels, value, timestamp }) => ({ series: seriesLabels, labels, value: parsed(value), time: timestamp })));
}

/** The values of a label; of the series of a selector, or of all. */
export const labelValues = async (label: string, of = ""): Promise<string[]> =>
  (await get<{ data: string[] }>(`/api/v1/label/${encodeURIComponent(label)}/values`, { "match[]": of })).data;

export const metricNames = (): Promise<string[]> => labelValues("__name__");

/** `{{handler}} {{code}}` filled from labels; without a template the labels themselves. */
export function legend(template: string | null | undefined, labels: Labels): string {
  if (template) return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name: string) => labels[name] ?? "").trim() || "value";
  const rest = Object.entries(labels).filter(([name]) => name !== "__name__");
  if (rest.length === 0) return labels.__name__ ?? "value";
  return rest.map(([name, value]) => `${name}=${value}`).join(" ");
}
