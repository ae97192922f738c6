import { describe, expect, it, test } from "vitest";
import type { Threshold } from "../src/api/types";
import { heights, logRange, reached, readThresholds, thresholdText, withThresholds, writeThresholds } from "../src/charts/look";
import { spreadOf, type Line } from "../src/charts/summary";

const line = (label: string, values: (number | null)[], extra: Partial<Line> = {}): Line => ({ label, values, ...extra });
const ABOVE: Threshold[] = [{ above: 0.8, level: "warning" }, { above: 0.9, level: "critical" }];

describe("the heights of lines", () => {
  it("are their values, as long as nothing else is said", () => {
    expect(heights([line("a", [1, null, -2])], {})).toEqual([[1, null, -2]]);
  });
  it("lie on those before them when they are stacked, over gaps as well; limits do not", () => {
    const lines = [line("a", [1, null, 3]), line("limit", [9, 9, 9], { limit: true }), line("b", [10, 20, null]), line("c", [100, 200, 300])];
    expect(heights(lines, { stacked: true })).toEqual([[1, null, 3], [9, 9, 9], [11, 20, null], [111, 220, 303]]);
  });
  it("have no place on a logarithmic axis from 0 down", () => {
    expect(heights([line("a", [0, -1, 0.5, null])], { log: true })).toEqual([[null, null, 0.5, null]]);
  });
});

test.each([
  [0.02, 300, [0.01, 1000]], [5, 5, [1, 10]], [10, 10, [10, 100]], [null, null, [0.1, 1]], [-3, 50, [1, 100]],
])("a logarithmic axis from %s to %s has whole powers of ten", (low, high, ends) => {
  const [from, to] = logRange(low as number | null, high as number | null);
  expect([from, to].map((end) => Number(end.toPrecision(6)))).toEqual(ends);
});

describe("thresholds", () => {
  it("are reached on their side, the worst first", () => {
    expect([0.5, 0.8, 0.95, null].map((value) => reached(value, ABOVE)?.level ?? null)).toEqual([null, "warning", "critical", null]);
    // A Grafana panel that is red, and green from 1 on, is `below: 1` here: what is up is good.
    expect([5, 3, 2.9, 0].map((value) => reached(value, [{ below: 3, level: "critical" }])?.level ?? null)).toEqual([null, null, "critical", "critical"]);
    expect(reached(1)).toBeNull();
  });
  it("are read as they are written", () => {
    expect(readThresholds(" warning above 0.8 , Critical Above 9e-1")).toEqual(ABOVE);
    expect(readThresholds("critical below -3")).toEqual([{ below: -3, level: "critical" }]);
    expect(readThresholds("")).toEqual([]);
    for (const wrong of ["0.8", "warning 0.8", "bad above 1", "warning above x"]) expect(readThresholds(wrong)).toBeNull();
    expect(readThresholds(writeThresholds(ABOVE))).toEqual(ABOVE);
  });
  it("are lines across a graph that has some", () => {
    expect(withThresholds([], 3, "ratio", ABOVE)).toEqual([]);
    const [, warning, critical] = withThresholds([line("a", [1, 2])], 2, "ratio", ABOVE);
    expect(warning).toEqual({ label: "warning: above 80 %", limit: "warning", values: [0.8, 0.8] });
    expect([critical?.limit, thresholdText(ABOVE[1]!, "ratio")]).toEqual([true, "critical: above 90 %"]);
  });
});

test("what a line was at least, in the mean and at most", () => {
  expect(spreadOf([4, null, 2, 0])).toEqual({ low: 0, mean: 2, high: 4 });
  expect(spreadOf([null])).toBeNull();
});
