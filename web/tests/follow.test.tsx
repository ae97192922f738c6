import { act } from "react";
import type { ReactElement } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { News } from "../src/api/live";
import { laidOut, type RangeResult } from "../src/api/promql";
import { EventReader } from "../src/api/sse";
import { extended } from "../src/charts/follow";
import { useNewest } from "../src/charts/panels/useNewest";
import type { Range } from "../src/charts/range";
import { useLines } from "../src/charts/useLines";
import { box, mountEach, pass, render } from "./mount";

/** A result of one series a job, on steps of a second. */
const result = (from: number, jobs: Record<string, (number | null)[]>): RangeResult => ({
  times: (Object.values(jobs)[0] ?? []).map((_, index) => from + index),
  series: Object.entries(jobs).map(([job, values]) => ({ labels: { job }, values })),
});
const news = (from: number, jobs: Record<string, (number | null)[]>, missed = false): News => {
  const points = result(from, jobs);
  return { from, to: points.times.at(-1)!, missed, points };
};
const rows = (all: RangeResult[] | null, at = 0): Record<string, (number | null)[]> =>
  Object.fromEntries(all![at]!.series.map(({ labels, values }) => [labels.job, values]));

test("new points move the window, and replace what was told before", () => {
  const next = extended([result(10, { a: [1, 2, 3, 4], b: [9, null, null, null] })], 0, news(12, { a: [30, 40, 50], c: [null, null, 7] }), 1);
  expect(next![0]!.times).toEqual([11, 12, 13, 14]);
  expect(rows(next)).toEqual({ a: [2, 30, 40, 50], c: [null, null, null, 7] });
});

test("a series that is not told of has ended, and is gone when nothing of it is left", () => {
  const next = extended([result(10, { a: [1, 2, 3] })], 0, news(13, { b: [5] }), 1);
  expect(rows(next)).toEqual({ a: [2, 3, null], b: [null, null, 5] });
});

test("queries of one graph stay on one axis, each with what it still lacks", () => {
  const one = extended([result(10, { a: [1, 2, 3] }), result(10, { b: [4, 5, 6] })], 0, news(13, { a: [7] }), 1)!;
  expect(one.map(({ times }) => times)).toEqual([[11, 12, 13], [11, 12, 13]]);
  expect(rows(one, 1)).toEqual({ b: [5, 6, null] });
  // Its own news go on from where it was told, not from where the other is.
  expect(extended(one, 1, news(14, { b: [8] }), 1)).toBeNull();
  expect(rows(extended(one, 1, news(13, { b: [8] }), 1), 1)).toEqual({ b: [5, 6, 8] });
});

test("a gap is seen, also one that the server tells of", () => {
  const results = [result(10, { a: [1, 2, 3] })];
  expect(extended(results, 0, news(14, { a: [5] }), 1)).toBeNull();
  expect(extended(results, 0, news(12, { a: [3, 4] }, true), 1)).toBeNull();
  expect(rows(extended(results, 0, news(20, { a: [5] }), 1, true))).toEqual({ a: [null, null, 5] });
});

test("events come in pieces", () => {
  const reader = new EventReader();
  expect(reader.read("event: ready\nda")).toEqual([]);
  expect(reader.read("ta: {}\n\n: nothing\n\nevent: points\ndata: {\"a\":\ndata: 1}\n\neve")).toEqual([
    { name: "ready", data: "{}" },
    { name: "points", data: "{\"a\":\n1}" },
  ]);
});

const NOW = Date.parse("2026-11-26T12:00:00Z");
const RANGE: Range = { fromMs: NOW - 300_000, toMs: NOW, name: "5m", text: "last 5 min" };
const QUERIES = [{ expr: "up", legend: "{{job}}" }];

/** Streams that were opened, the newest last; a status other than 200 refuses them. */
let streams: { controller: ReadableStreamDefaultController<Uint8Array>; queries: { query: string; step_ms: number }[] }[];
let status: number;
let asked: { from: number; to: number }[];
let instants: number;

/** Every second has its own value, so that one can see which were asked for. */
function answer(url: URL): unknown {
  const [from, to, step] = ["start", "end", "step"].map((name) => Number(url.searchParams.get(name))) as [number, number, number];
  asked.push({ from, to });
  const values: [number, string][] = [];
  for (let time = from; time <= to; time += step) values.push([time, String(time % 1000)]);
  return { status: "success", data: { resultType: "matrix", result: [{ metric: { job: "web" }, values }] } };
}

async function fake(input: string, init?: RequestInit): Promise<Response> {
  const url = new URL(input, "http://localhost");
  if (url.pathname === "/api/v1/query_range") return Response.json(answer(url));
  if (url.pathname === "/api/v1/query") {
    instants += 1;
    return Response.json({ status: "success", data: { resultType: "vector", result: [{ metric: { job: "web" }, value: [1, "42"] }] } });
  }
  if (status !== 200) return Response.json({ error: { code: "unavailable", message: "full", advice: "" } }, { status });
  const { queries } = JSON.parse(String(init?.body)) as { queries: { query: string; step_ms: number }[] };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      streams.push({ controller, queries });
      init?.signal?.addEventListener("abort", () => controller.error(new DOMException("aborted", "AbortError")));
    },
  });
  return new Response(body);
}

mountEach();
beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(NOW);
  [streams, status, asked, instants] = [[], 200, [], 0];
  vi.stubGlobal("fetch", vi.fn(fake));
});

async function tell(name: string, data: unknown): Promise<void> {
  await act(async () => {
    streams.at(-1)!.controller.enqueue(new TextEncoder().encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`));
    await vi.advanceTimersByTimeAsync(0);
  });
}
const second = (after: number): number => NOW / 1000 + after;
/** The points of these seconds after the start, as the stream tells them. */
const told = (from: number, to: number, value: number): Promise<void> => {
  const values: [number, string][] = [];
  for (let after = from; after <= to; after += 1) values.push([second(after), String(value)]);
  return tell("points", { query: 0, missed: false, from: second(from), to: second(to), result: [{ metric: { job: "web" }, values }] });
};

function Lines({ range = RANGE }: { range?: Range }): ReactElement {
  const { times, lines, note } = useLines(QUERIES, range);
  return <p data-last={times.at(-1)}>{lines.map(({ label, values }) => `${label} ${values.slice(-4).join(" ")}`).join(";")} {note}</p>;
}
function Newest(): ReactElement {
  const { data } = useNewest(QUERIES, RANGE);
  return <b>{data?.map(({ label, value }) => `${label} ${value}`).join(";")}</b>;
}
const shown = (): string => box.querySelector("p")!.textContent.trim();
const last = (): number => Number(box.querySelector("p")!.dataset.last) - second(0);

async function open(element: ReactElement = <Lines />): Promise<void> {
  await render(element);
  await pass(1_000);
  await tell("ready", { queries: 1 });
}

test("points are appended as they are told, and nothing is asked meanwhile", async () => {
  await open();
  expect(streams).toHaveLength(1);
  expect(streams[0]!.queries).toEqual([{ query: "up", step_ms: 1_000 }]);
  expect(asked).toHaveLength(1);
  expect(last()).toBe(0);
  await told(-1, 1, 7);
  expect([last(), shown()]).toEqual([1, `web ${(second(0) - 2) % 1000} 7 7 7`]);
  await told(0, 2, 8);
  expect([last(), shown()]).toEqual([2, "web 7 8 8 8"]);
  for (let beat = 0; beat < 6; beat += 1) {
    await pass(15_000);
    await tell("ping", {});
  }
  expect([asked.length, streams.length]).toEqual([1, 1]);
});

test("a gap is asked for from the last point on", async () => {
  await open();
  await pass(9_000);
  await told(8, 10, 7);
  await pass(0);
  expect(asked.slice(1)).toEqual([{ from: second(0), to: second(10) }]);
  expect(last()).toBe(10);
});

test("a stream that broke is opened again, and what was missed asked for from the last point on", async () => {
  await open();
  await told(0, 1, 7);
  await act(async () => streams[0]!.controller.close());
  await pass(20_000);
  expect(streams).toHaveLength(2);
  const polled = asked.length;
  expect(polled).toBeGreaterThan(1);
  await tell("ready", { queries: 1 });
  await pass(0);
  expect(asked.length).toBe(polled + 1);
  expect(asked.at(-1)!.from).toBeGreaterThan(second(0));
  expect(asked.at(-1)!.to).toBe(second(21));
  expect(last()).toBe(21);
});

test("silence is taken for a dead connection", async () => {
  await open();
  await pass(44_000);
  expect(streams).toHaveLength(1);
  await pass(5_000);
  expect(streams).toHaveLength(2);
});

test("where the stream is refused the page asks by itself", async () => {
  status = 503;
  await render(<Lines />);
  await pass(16_500);
  expect(streams).toHaveLength(0);
  expect(asked).toHaveLength(4);
  status = 200;
  await pass(60_000);
  expect(streams).toHaveLength(1);
});

test("a line and its number follow one query together", async () => {
  await open(<><Lines /><Newest /></>);
  expect(streams.at(-1)!.queries).toHaveLength(1);
  expect(box.querySelector("b")!.textContent).toBe("web 42");
  await told(-1, 1, 7);
  expect(box.querySelector("b")!.textContent).toBe("web 7");
  await pass(30_000);
  expect(instants).toBe(1);
});

test("a range may be looked at more closely, beside the usual one", async () => {
  const quarter: Range = { fromMs: NOW - 900_000, toMs: NOW, name: "15m", text: "last 15 min" };
  await render(<><Lines range={{ ...quarter, step: 1 }} /><Lines range={quarter} /></>);
  await pass(1_000);
  expect(streams.at(-1)!.queries.map(({ step_ms }) => step_ms).sort()).toEqual([1_000, 5_000]);
  await tell("ready", { queries: 2 });
  expect([...box.querySelectorAll("p")].map(({ dataset }) => Number(dataset.last))).toEqual([second(0), second(0)]);
});

test("a query that the stream cannot tell is asked by itself until it is told again", async () => {
  await open();
  await tell("fault", { query: 0, missed: false, from: second(1), to: second(1), code: "invalid", message: "600 series", advice: "aggregate them" });
  const before = asked.length;
  await pass(10_000);
  expect(asked.length).toBeGreaterThan(before);
  await told(-1, 1, 7);
  const then = asked.length;
  await pass(10_000);
  expect(asked.length).toBe(then);
});

test("a graph that leaves the page is no longer followed", async () => {
  await open();
  await render(<i />);
  await pass(1_000);
  expect(() => streams[0]!.controller.enqueue(new Uint8Array())).toThrow();
});

test("times of an answer are laid out as the question was", () => {
  expect(laidOut([{ metric: { job: "a" }, values: [[11, "1"], [99, "2"]] }], { from: 10, to: 12, step: 1 })).toEqual(result(10, { a: [null, 1, null] }));
});
