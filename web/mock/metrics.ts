/** Synthetic series with a bad quarter hour after deploy 39, so that marks and lines tell the same story. */
import { START } from "./data.ts";

const BAD_FROM = START - 12.5 * 60_000;
const BAD_TO = START - 8 * 60_000;

function wobble(time: number, seed: number): number {
  return Math.sin(time / 611 + seed) * 0.08 + Math.sin(time / 97 + seed * 3) * 0.04 + Math.sin(time / 23 + seed * 7) * 0.025;
}

const SHAPES: Record<string, (time: number, bad: boolean) => [Record<string, string>, number][]> = {
  requests: (t, bad) => [[{ code: "200" }, 118 * (1 + wobble(t, 1)) * (bad ? 0.93 : 1)], [{ code: "404" }, 3.1 * (1 + wobble(t, 2))], [{ code: "502" }, bad ? 8.4 * (1 + wobble(t, 3)) : 0.2]],
  errors: (t, bad) => [[{}, bad ? 0.061 * (1 + wobble(t, 4)) : 0.0019 * (1 + wobble(t, 5))]],
  latency: (t, bad) => [[{ quantile: "p50" }, 0.041 * (1 + wobble(t, 6))], [{ quantile: "p95" }, 0.11 * (1 + wobble(t, 7)) * (bad ? 2 : 1)], [{ quantile: "p99" }, 0.182 * (1 + wobble(t, 8)) * (bad ? 3.3 : 1)]],
  marked: (_t, bad) => (bad ? [[{ code: "502" }, 1]] : []),
  gaps: (t, bad) => (Math.floor(t / 60) % 5 === 0 ? [] : SHAPES.uploads!(t, bad)),
  uploads: (t, bad) => [[{}, 12.4 * (1 + wobble(t, 9)) * (bad ? 0.6 : 1)]],
  cpu: (t) => [1, 2, 3, 4, 5, 6].map((n) => [{ host: `host-${n}` }, 0.31 + n * 0.03 + wobble(t, n) * 0.6]),
  buckets: (t, bad) => ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "+Inf"].map((le, n) => [{ le }, 120 / (1 + Math.exp((bad ? 5.5 : 3.6) + wobble(t, 11) * 4 - n))]),
  memory: (t) => [1, 2, 3, 4, 5, 6].map((n) => [{ host: `host-${n}` }, (410 + n * 22) * 2 ** 20 * (1 + wobble(t, n) * 0.3)]),
};

function shapeOf(expr: string): (time: number, bad: boolean) => [Record<string, string>, number][] {
  if (SHAPES[expr]) return SHAPES[expr];
  if (expr.includes("duration") || expr.includes("quantile")) return (t, bad) => SHAPES.latency!(t, bad).slice(2);
  if (expr.includes("5..")) return SHAPES.errors!;
  return SHAPES.uploads!;
}

export function range(expr: string, start: number, end: number, step: number): unknown {
  const shape = shapeOf(expr);
  const rows = new Map<string, { metric: Record<string, string>; values: [number, string][] }>();
  for (let time = start; time <= end; time += step) {
    const bad = time * 1000 > BAD_FROM && time * 1000 < BAD_TO;
    for (const [metric, value] of shape(time, bad)) {
      const key = JSON.stringify(metric);
      const row = rows.get(key) ?? { metric, values: [] };
      row.values.push([time, String(value)]);
      rows.set(key, row);
    }
  }
  if (expr === "native") {
    const histograms = [];
    for (let time = start; time <= end; time += step) histograms.push([time, nativeAt(time, time * 1000 > BAD_FROM && time * 1000 < BAD_TO)]);
    return { status: "success", data: { resultType: "matrix", result: [{ metric: {}, histograms }] } };
  }
  return { status: "success", data: { resultType: "matrix", result: [...rows.values()] } };
}

/** A native histogram of exponential buckets, as it answers a rate. */
function nativeAt(time: number, bad: boolean): { count: string; sum: string; buckets: [number, string, string, string][] } {
  const buckets = Array.from({ length: 22 }, (_, n): [number, string, string, string] => {
    const middle = (bad ? 14 : 9) + wobble(time, 12) * 12;
    return [0, String(0.002 * 2 ** (n / 2)), String(0.002 * 2 ** ((n + 1) / 2)), String(Math.max(0, 40 * Math.exp(-((n - middle) ** 2) / 6) - 0.3))];
  }).filter(([, , , count]) => count !== "0");
  return { count: "120", sum: "9", buckets };
}

export function exemplars(start: number, end: number): unknown {
  const found = [];
  for (let time = Math.ceil(start / 20) * 20; time <= end; time += 20) {
    const value = 0.05 + 0.12 * Math.abs(Math.sin(time * 7.3)) + (time * 1000 > BAD_FROM && time * 1000 < BAD_TO ? 0.3 : 0);
    found.push({ labels: { trace_id: Math.round(time * 7919).toString(16).padStart(32, "0"), url: `https://traces.example.org/trace/${time}`, path: "/upload" }, value: String(value), timestamp: time + 3.2 });
  }
  return { status: "success", data: [{ seriesLabels: { __name__: "photos_request_duration_seconds_bucket", job: "photos", le: "0.5" }, exemplars: found }] };
}

export function instant(expr: string): unknown {
  const time = Date.now() / 1000;
  return { status: "success", data: { resultType: "vector", result: shapeOf(expr)(time, false).map(([metric, value]) => ({ metric, value: [time, String(value)] })) } };
}
