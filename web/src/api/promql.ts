/** Range queries in the Prometheus shape, laid on one time grid so that charts can share an axis. */
import { ApiError, ask, get } from "./http";

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

/** What PromQL has to say about an answer that it gives all the same. */
export interface Note {
  level: "warning" | "info";
  text: string;
}

interface Noted {
  warnings?: string[];
  infos?: string[];
}

interface Matrix extends Noted {
  data: { result: RawSeries[] };
}

interface Instant extends Noted {
  data: { resultType: "vector" | "matrix"; result: RawSeries[] } | { resultType: "scalar"; result: [number, string] } | { resultType: "string"; result: [number, string] };
}

const notesOf = ({ warnings = [], infos = [] }: Noted): Note[] => [
  ...warnings.map((text): Note => ({ level: "warning", text })),
  ...infos.map((text): Note => ({ level: "info", text })),
];

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
  /** Of the query as it was last asked; absent when there is nothing to say. */
  notes?: Note[];
}

export interface TimeSpan {
  /** Seconds since the epoch. */
  from: number;
  to: number;
  step: number;
}

/** Distances between points that read well, in seconds. */
export const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
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
  const answer = await ask<Matrix>("/api/v1/query_range", { query: expr, start: asked.from, end: asked.to, step: asked.step });
  const notes = notesOf(answer);
  return { ...laidOut(answer.data.result, asked), ...(notes.length > 0 ? { notes } : {}) };
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
  const answer = await ask<{ data: { explain: Explanation } }>("/api/v1/query_range", { query: expr, start: from, end: to, step, explain: 1 });
  return answer.data.explain;
}

export interface InstantSample {
  labels: Labels;
  /** NaN and the infinities are values as well; null of a histogram and of a text. */
  value: number | null;
  histogram?: HistogramSample;
  /** Of an expression that is a text. */
  text?: string;
  /** How many samples a range vector has of the series; the value is the newest. */
  samples?: number;
}

export interface InstantResult {
  samples: InstantSample[];
  notes: Note[];
}

function sampleOf({ metric, value, values, histogram, histograms }: RawSeries): InstantSample {
  const number = value ?? values?.at(-1);
  const observed = histogram ?? (number ? undefined : histograms?.at(-1));
  const samples = (values?.length ?? 0) + (histograms?.length ?? 0);
  return { labels: metric, value: number ? parsed(number[1]) : null, ...(observed ? { histogram: toHistogram(observed[1]) } : {}), ...(values || histograms ? { samples } : {}) };
}

/** `at` in seconds since the epoch; now when it is left out. A number or a text alone is a sample without labels. */
export async function askInstant(expr: string, at?: number): Promise<InstantResult> {
  const answer = await ask<Instant>("/api/v1/query", { query: expr, time: at });
  const { data } = answer;
  const notes = notesOf(answer);
  if (data.resultType === "scalar") return { samples: [{ labels: {}, value: parsed(data.result[1]) }], notes };
  if (data.resultType === "string") return { samples: [{ labels: {}, value: null, text: data.result[1] }], notes };
  return { samples: data.result.map(sampleOf), notes };
}

export const queryInstant = async (expr: string, at?: number): Promise<InstantSample[]> => (await askInstant(expr, at)).samples;

/** Why the server refuses an expression, with the place below; null of one that it takes, and while it does not answer. */
export async function faultOf(expr: string): Promise<string | null> {
  try {
    await ask("/api/v1/parse_query", { query: expr });
    return null;
  } catch (error) {
    return error instanceof ApiError && error.code === "bad_data" ? error.message : null;
  }
}

/** An expression as Prometheus writes it, over several lines where it is long. */
export const formatted = async (expr: string): Promise<string> => (await ask<{ data: string }>("/api/v1/format_query", { query: expr })).data;

/** What the sources say of a metric. */
export interface Family {
  type: string;
  help: string;
  unit: string;
}

/** By the names of families: a histogram's series have `_bucket`, `_sum` and `_count` behind it. */
export async function families(): Promise<Map<string, Family>> {
  const { data } = await get<{ data: Record<string, Family[]> }>("/api/v1/metadata");
  return new Map(Object.entries(data).flatMap(([name, [first]]) => (first ? [[name, first] as const] : [])));
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
  const answer = await ask<{ data: { seriesLabels: Labels; exemplars: { labels: Labels; value: string; timestamp: number }[] }[] }>("/api/v1/query_exemplars", { query: expr, start: from, end: to });
  return answer.data.flatMap(({ seriesLabels, exemplars }) =>
    exemplars.map(({ labels, value, timestamp }) => ({ series: seriesLabels, labels, value: parsed(value), time: timestamp })));
}

/** The values of a label; of the series of a selector, or of all, and where it is told of those that had samples in a stretch of time. */
export const labelValues = async (label: string, of = "", within?: { fromMs: number; toMs: number }): Promise<string[]> =>
  (await get<{ data: string[] }>(`/api/v1/label/${encodeURIComponent(label)}/values`, { "match[]": of, ...(within ? { start: within.fromMs / 1000, end: within.toMs / 1000 } : {}) })).data;

export const labelNames = async (): Promise<string[]> => (await get<{ data: string[] }>("/api/v1/labels")).data;

export const metricNames = (): Promise<string[]> => labelValues("__name__");

/** Whether the name of its metric tells one series from another. */
export const severalMetrics = (all: Labels[]): boolean => new Set(all.map(({ __name__ = "" }) => __name__)).size > 1;

/** `{{handler}} {{code}}` filled from labels; without a template the labels themselves, behind the metric where it has to be `named`. */
export function legend(template: string | null | undefined, labels: Labels, named = false): string {
  if (template) return template.replace(/\{\{\s*([^{}]+?)\s*\}\}/g, (_, name: string) => labels[name] ?? "").trim() || "value";
  const rest = Object.entries(labels).filter(([name]) => name !== "__name__");
  if (rest.length === 0) return labels.__name__ ?? "value";
  const words = rest.map(([name, value]) => `${name}=${value}`).join(" ");
  return named && labels.__name__ ? `${labels.__name__} ${words}` : words;
}
