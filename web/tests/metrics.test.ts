import { afterEach, expect, test, vi } from "vitest";
import { legend, niceStep, queryRange, span } from "../src/api/promql";
import { valueRange } from "../src/charts/options";
import { timeLabels } from "../src/charts/ticks";
import { summary } from "../src/charts/summary";

afterEach(() => vi.unstubAllGlobals());

test.each([[900, 5], [3600, 10], [21_600, 60], [86_400, 300], [7 * 86_400, 1800], [30 * 86_400, 7200]])("%i s are drawn in steps of %i s", (length, step) => expect(niceStep(length)).toBe(step));

test("the ends lie on steps, so that a reload draws the same points", () => {
  expect(span(1_003_000, 4_607_000)).toEqual({ from: 990, to: 4605, step: 15 });
  expect(span(1_004_000, 4_608_000)).toEqual({ from: 990, to: 4605, step: 15 });
});

test("a missing sample is a gap, not a zero", async () => {
  const body = { status: "success", data: { resultType: "matrix", result: [{ metric: { code: "200" }, values: [[10, "1"], [30, "NaN"], [40, "2.5"]] }] } };
  vi.stubGlobal("fetch", vi.fn(async () => new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } })));
  const { times, series } = await queryRange("x", { from: 10, to: 40, step: 10 });
  expect(times).toEqual([10, 20, 30, 40]);
  expect(series).toEqual([{ labels: { code: "200" }, values: [1, null, null, 2.5] }]);
});

test.each([
  ["{{code}} {{ handler }}", { code: "200", handler: "/up" }, "200 /up"], ["{{nothing}}", { code: "200" }, "value"], [null, { __name__: "up", job: "a" }, "job=a"], [null, { __name__: "up" }, "up"],
])("legend %s", (template, labels, text) => expect(legend(template, labels as Record<string, string>)).toBe(text));

test("a second's clock stands once on the axis of time", () => {
  const labels = timeLabels([100, 100.5, 101, 101.5, 102], 0.5);
  expect(labels.filter((label) => label !== "").length).toBe(3);
  expect(new Set(labels.filter((label) => label !== "")).size).toBe(3);
});

test("only midnight itself is named by its day", () => {
  const midnight = new Date(2026, 10, 27).getTime() / 1000;
  expect(timeLabels([-10, 0, 10, 20].map((second) => midnight + second), 10)).toEqual(["23:59:50", "27 Nov", "00:00:10", "00:00:20"]);
});

test("zero is always in view", () => {
  expect(valueRange(90, 100)[0]).toBe(0);
  expect(valueRange(null, null)).toEqual([0, 1]);
  expect(valueRange(-4, -2)[1]).toBe(0);
});

test("a chart in words", () => {
  const words = summary("Requests", "ops", [{ label: "200", values: [10, null, 20] }, { label: "none", values: [null] }, { label: "threshold 2", limit: true, values: [2] }],
    [{ seq: 1, at: "2026-01-01T00:00:00Z", kind: "deploy", text: "", actor_name: "ana", subject: {} }, { seq: 2, at: "2026-01-01T00:00:00Z", kind: "rollback", text: "", actor_name: "raj", subject: {} }], "last 1 h");
  expect(words).toBe("Requests, last 1 h. 200: now 20 /s, lowest 10 /s, highest 20 /s. none: no data. Marked: 1 deploy, 1 rollback.");
});
