import { afterEach, describe, expect, it, test, vi } from "vitest";
import { queryExemplars, queryInstant, queryRange, type Exemplar, type HistogramSample, type Series } from "../src/api/promql";
import { linesCsv, toCsv } from "../src/charts/csv";
import { hrefOf, thinned, traceOf, valueText } from "../src/charts/exemplars";
import { heatMost, heatPlace, heatRows } from "../src/charts/heat";

const answers = (data: unknown): void => void vi.stubGlobal("fetch", vi.fn(async () => new Response(JSON.stringify({ status: "success", data }), { headers: { "content-type": "application/json" } })));
afterEach(() => vi.unstubAllGlobals());

const bucket = (le: string, values: (number | null)[]): Series => ({ labels: { le }, values });
const sample = (...buckets: [number, number, number][]): HistogramSample => ({ count: 0, sum: 0, buckets: buckets.map(([lower, upper, count]) => ({ lower, upper, count })) });
const native = (...histograms: (HistogramSample | null)[]): Series => ({ labels: {}, values: histograms.map(() => null), histograms });
const rowsOf = (times: number[], ...series: Series[]): unknown => heatRows([{ times, series }]).map(({ lower, upper, counts }) => [lower, upper, counts]);

describe("rows of a heatmap", () => {
  it("takes cumulative buckets apart, in the order of their bounds", () => {
    expect(rowsOf([0, 1], bucket("+Inf", [10, 12]), bucket("0.5", [4, 4]), bucket("2", [9, null]))).toEqual([[0, 0.5, [4, 4]], [0.5, 2, [5, null]], [2, Infinity, [1, 8]]]);
  });
  it("adds up series of one bound and leaves out those without", () => {
    expect(rowsOf([0], bucket("1", [2]), bucket("1", [3]), { labels: {}, values: [9] }, bucket("x", [1]))).toEqual([[0, 1, [5]]]);
    // `sum by (le)` of two clients that write bounds in their own ways.
    expect(rowsOf([0], bucket("1", [5]), bucket("+Inf", [6]), bucket("1.0", [2]))).toEqual([[0, 1, [7]], [1, Infinity, [0]]]);
    expect(rowsOf([0], bucket("-1", [2]), bucket("0", [3]))).toEqual([[-Infinity, -1, [2]], [-1, 0, [1]]]);
  });
  it("lays native buckets as they are, with the empty stretch between them, and 0 where there was a sample", () => {
    expect(rowsOf([0, 1, 2], native(sample([1, 2, 4]), null, sample([4, 8, 3])))).toEqual([[1, 2, [4, null, 0]], [2, 4, [0, null, 0]], [4, 8, [0, null, 3]]]);
  });
  it("puts buckets of two resolutions into the coarser rows", () => {
    expect(rowsOf([0, 1], native(sample([1, 1.5, 2], [1.5, 2, 3]), sample([1, 2, 7])))).toEqual([[1, 2, [5, 7]]]);
    expect(rowsOf([0], native(sample([-0.1, 0.1, 1], [0.05, 0.2, 2])))).toEqual([[-0.1, 0.2, [3]]]);
  });
  it("adds up several native series, and keeps rows few", () => {
    expect(rowsOf([0], native(sample([1, 2, 4])), native(sample([1, 2, 1])))).toEqual([[1, 2, [5]]]);
    const many = heatRows([{ times: [0], series: [native(sample(...Array.from({ length: 100 }, (_, n): [number, number, number] => [n, n + 1, 1])))] }]);
    expect([many.length, many[0]!.counts[0], many.at(-1)!.upper, many.reduce((sum, { counts }) => sum + counts[0]!, 0)]).toEqual([25, 4, 100, 100]);
    expect(heatMost(many)).toBe(4);
  });
  it("has nothing of nothing", () => expect(heatRows([])).toEqual([]));
  it("finds where a value lies, and none outside", () => {
    const rows = heatRows([{ times: [0], series: [bucket("1", [2]), bucket("3", [3]), bucket("+Inf", [3])] }]);
    expect([0, 1, 2, 9, -1].map((value) => heatPlace(rows, value))).toEqual([0, 1, 1.5, 2.5, null]);
  });
});

test("native histograms of the API are read beside floats", async () => {
  const raw = { count: "5.5", sum: "18.4", buckets: [[3, "-0.001", "0.001", "2"], [0, "2", "+Inf", "2.5"]] };
  const read = { count: 5.5, sum: 18.4, buckets: [{ lower: -0.001, upper: 0.001, count: 2 }, { lower: 2, upper: Infinity, count: 2.5 }] };
  answers({ resultType: "matrix", result: [{ metric: { job: "web" }, values: [[10, "1"]], histograms: [[20, raw], [99, raw]] }, { metric: {}, values: [[20, "3"]] }] });
  const { series } = await queryRange("x", { from: 10, to: 30, step: 10 });
  expect(series).toEqual([{ labels: { job: "web" }, values: [1, null, null], histograms: [null, read, null] }, { labels: {}, values: [null, 3, null] }]);
  answers({ resultType: "vector", result: [{ metric: {}, histogram: [20, { count: "0", sum: "0" }] }] });
  expect(await queryInstant("x")).toEqual([{ labels: {}, value: null, histogram: { count: 0, sum: 0, buckets: [] } }]);
});

const at = (time: number, value: number, labels: Record<string, string> = {}): Exemplar => ({ series: {}, labels, value, time });

describe("exemplars", () => {
  it("are read with the labels of their series", async () => {
    answers([{ seriesLabels: { job: "web" }, exemplars: [{ labels: { trace_id: "a1" }, value: "0.25", timestamp: 12.5 }] }]);
    expect(await queryExemplars("x", { from: 0, to: 60, step: 1 })).toEqual([{ series: { job: "web" }, labels: { trace_id: "a1" }, value: 0.25, time: 12.5 }]);
  });
  it("keep the highest of a step and what stands apart, in the order of time", () => {
    const alike = Array.from({ length: 50 }, (_, n) => at(60 + n / 10, 0.1 + n / 10_000));
    const kept = thinned([at(70, 9), at(10, 0.2), ...alike, at(65, NaN)], 60);
    expect(kept.map(({ time, value }) => [time, Number(value.toFixed(2))])).toEqual([[10, 0.2], [64.9, 0.1], [70, 9]]);
    expect(thinned([at(1, 2), at(2, 2), at(3, 2)], 60)).toHaveLength(1);
    expect(thinned([], 60)).toEqual([]);
  });
  it("name their trace, whatever it is called", () => {
    expect(traceOf(at(0, 1, { span_id: "s", trace_id: "t" }))).toEqual(["trace_id", "t"]);
    expect(traceOf(at(0, 1, { traceID: "t" }))).toEqual(["traceID", "t"]);
    expect(traceOf(at(0, 1, { my_trace_key: "t" }))).toEqual(["my_trace_key", "t"]);
    expect(traceOf(at(0, 1, { span_id: "s" }))).toBeNull();
  });
  it.each([
    ["https://traces.example.org/t/1", "https://traces.example.org/t/1"], ["javascript:alert(1)", null], ["data:text/html,x", null], ["a1b2c3", null], ["https://", null], ["see https://a.example", null],
  ])("%s leads to %s", (value, href) => expect(hrefOf(value)).toBe(href));
  it("are never a rate or a share", () => expect([valueText(0.25, "ops"), valueText(0.25, "seconds"), valueText(0.5, "ratio")]).toEqual(["0.25", "250 ms", "0.5"]));
});

test("numbers as a file", () => {
  expect(linesCsv([0, 60], [{ label: 'code="200", a', values: [1.5, null] }])).toBe('time,"code=""200"", a"\r\n1970-01-01T00:00:00.000Z,1.5\r\n1970-01-01T00:01:00.000Z,\r\n');
  expect(toCsv([["=1+1", "@a", -2, "-2"]])).toBe("'=1+1,'@a,-2,'-2\r\n");
});
