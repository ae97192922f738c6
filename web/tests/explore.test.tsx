import { afterEach, describe, expect, it, test, vi } from "vitest";
import { act } from "react";
import { askInstant, legend, queryRange, type RangeResult } from "../src/api/promql";
import type { Range } from "../src/charts/range";
import { shifted, widened } from "../src/charts/range";
import { extended } from "../src/charts/follow";
import { linesOf, notesOf } from "../src/charts/useLines";
import { recent, remember, withRecent } from "../src/lib/recent";
import { exact } from "../src/lib/units";
import { columnsOf, InstantTable, ordered } from "../src/pages/graphs/InstantTable";
import { moved } from "../src/pages/graphs/order";
import { box, mountEach, render } from "./mount";

let asked: URL[] = [];
const answers = (body: object): void => {
  asked = [];
  vi.stubGlobal("fetch", vi.fn(async (input: string) => {
    asked.push(new URL(input, "http://localhost"));
    return new Response(JSON.stringify({ status: "success", ...body }), { headers: { "content-type": "application/json" } });
  }));
};

mountEach();
afterEach(() => localStorage.clear());

const settled = (text: string): Promise<void> => act(async () => vi.waitFor(() => expect(box.textContent).toContain(text)));

const FIXED: Range = { fromMs: 1_700_000_000_000, toMs: 1_700_000_060_000, name: null, text: "" };

describe("an answer for one instant", () => {
  it("may be a number alone, or a text", async () => {
    answers({ data: { resultType: "scalar", result: [12, "2"] } });
    expect(await askInstant("1 + 1")).toEqual({ samples: [{ labels: {}, value: 2 }], notes: [] });
    answers({ data: { resultType: "string", result: [12, "hello"] } });
    expect((await askInstant('"hello"')).samples).toEqual([{ labels: {}, value: null, text: "hello" }]);
  });
  it("may be a range of samples, of which the newest counts", async () => {
    answers({ data: { resultType: "matrix", result: [{ metric: { a: "b" }, values: [[1, "3"], [2, "4"]] }] } });
    expect((await askInstant("x[5m]")).samples).toEqual([{ labels: { a: "b" }, value: 4, samples: 2 }]);
  });
  it("keeps what is no number, and what PromQL says", async () => {
    answers({ data: { resultType: "vector", result: [{ metric: {}, value: [1, "NaN"] }, { metric: { a: "1" }, value: [1, "+Inf"] }] }, warnings: ["PromQL warning: a"], infos: ["PromQL info: b"] });
    const { samples, notes } = await askInstant("0 / 0");
    expect(samples.map(({ value }) => exact(value, "short"))).toEqual(["NaN", "+Inf"]);
    expect(notes).toEqual([{ level: "warning", text: "PromQL warning: a" }, { level: "info", text: "PromQL info: b" }]);
    expect([exact(-Infinity, "seconds"), exact(null, "short"), exact(0.5, "seconds")]).toEqual(["-Inf", "no data", "500 ms"]);
  });
  it("is of the end of a range that stands still, with a column for each label", async () => {
    answers({ data: { resultType: "vector", result: [{ metric: { __name__: "up", job: "web" }, value: [1, "1"] }, { metric: { __name__: "up", host: "a" }, value: [1, "0"] }] }, infos: ["PromQL info: look"] });
    await render(<InstantTable expr="up" unit="short" range={FIXED} />);
    await settled("Metric");
    expect(asked.map((url) => url.searchParams.get("time"))).toEqual(["1700000060"]);
    expect([...box.querySelectorAll("th")].map(({ textContent }) => textContent)).toEqual(["Metric", "host", "job", "Value"]);
    expect([...box.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")].map(({ textContent }) => textContent))).toEqual([["up", "", "web", "1"], ["up", "a", "", "0"]]);
    expect(box.querySelector("h2")?.textContent).toMatch(/^At /);
    expect(box.textContent).toContain("PromQL info: look");
  });
  it("points at what is wrong in an expression", async () => {
    vi.stubGlobal("fetch", vi.fn(async () => new Response(JSON.stringify({ status: "error", errorType: "bad_data", error: "1:5: unexpected end\n  max(\n      ^" }), { status: 400, headers: { "content-type": "application/json" } })));
    await render(<InstantTable expr="max(" unit="short" range={FIXED} />);
    await settled("unexpected");
    const problem = box.querySelector(".problem");
    expect(problem?.querySelector(".status")?.textContent).toContain("1:5: unexpected end.");
    expect(problem?.querySelector("pre")?.textContent).toBe("  max(\n      ^");
  });
  it("draws a number alone", async () => {
    answers({ data: { resultType: "scalar", result: [12, "42"] } });
    await render(<InstantTable expr="42" unit="short" range={{ ...FIXED, name: "1h" }} />);
    await settled("42");
    expect(asked[0]?.searchParams.get("time")).toBeNull();
    expect([...box.querySelectorAll("td")].map(({ textContent }) => textContent)).toEqual(["value", "42"]);
  });
  it("is sorted by a column, and asks only for a label's value", async () => {
    answers({ data: { resultType: "vector", result: [[{ __name__: "up", host: "h10" }, "2"], [{ __name__: "up", host: "h9" }, "NaN"], [{ __name__: "up" }, "10"]].map(([metric, value]) => ({ metric, value: [1, value] })) } });
    const only = vi.fn();
    await render(<InstantTable expr="up" unit="short" range={FIXED} onOnly={only} />);
    await settled("Metric");
    const head = (text: string): HTMLElement => [...box.querySelectorAll("th")].find((one) => one.textContent?.startsWith(text))!;
    const press = (text: string): Promise<void> => act(async () => head(text).querySelector("button")!.click());
    const values = (): (string | null)[] => [...box.querySelectorAll("tbody td:last-child")].map(({ textContent }) => textContent);
    expect(values()).toEqual(["2", "NaN", "10"]);
    await press("Value");
    expect([head("Value").getAttribute("aria-sort"), values()]).toEqual(["descending", ["10", "2", "NaN"]]);
    await press("Value");
    expect([head("Value").getAttribute("aria-sort"), values()]).toEqual(["ascending", ["2", "10", "NaN"]]);
    await press("host");
    expect([head("host").getAttribute("aria-sort"), head("Value").getAttribute("aria-sort"), values()]).toEqual(["ascending", null, ["NaN", "2", "10"]]);
    const picks = [...box.querySelectorAll<HTMLElement>("td button")];
    expect(picks.map(({ textContent, title }) => [textContent, title])).toEqual([["h9", 'Only host="h9"'], ["h10", 'Only host="h10"']]);
    await act(async () => picks[1]!.click());
    expect(only).toHaveBeenCalledWith("host", "h10");
  });
  it("stands as it came until somebody sorts it", () => {
    const samples = [{ labels: {}, value: Infinity }, { labels: {}, value: -Infinity }, { labels: {}, value: null, text: "a" }];
    expect(ordered(samples, null)).toBe(samples);
    expect(ordered(samples, { by: null, descending: false }).map(({ value }) => value)).toEqual([-Infinity, Infinity, null]);
  });
  it("has one column when there are too many labels", () => {
    const labels = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`l${n}`, "x"]));
    expect(columnsOf([{ labels, value: 1 }])).toBeNull();
    expect(columnsOf([])).toEqual([]);
  });
});

const result = (...series: [labels: Record<string, string>, values: (number | null)[]][]): RangeResult => ({ times: [0, 1], series: series.map(([labels, values]) => ({ labels, values })) });

describe("lines of answers", () => {
  it("of several metrics carry the metric, those of one do not", () => {
    const several = result([{ __name__: "a", job: "x" }, [1, 2]], [{ __name__: "b", job: "x" }, [3, 4]]);
    expect(linesOf([several], [null])).toEqual([{ label: "a job=x", values: [1, 2] }, { label: "b job=x", values: [3, 4] }]);
    expect(linesOf([result([{ __name__: "a", job: "x" }, [1, 2]])], [null])[0]?.label).toBe("job=x");
  });
  it("of several queries that look alike carry their query, unless somebody named them", () => {
    const one = result([{ job: "x" }, [1, 2]]);
    expect(linesOf([one, one], [null, ""]).map(({ label }) => label)).toEqual(["job=x", "query 2: job=x"]);
    expect(linesOf([one, one], ["{{job}}", "{{job}}"]).map(({ label }) => label)).toEqual(["x"]);
  });
  it("leave histograms to the heatmap", () => {
    const histogram: RangeResult = { times: [0, 1], series: [{ labels: {}, values: [null, null], histograms: [null, { count: 1, sum: 1, buckets: [] }] }] };
    expect(linesOf([histogram], [null])).toEqual([]);
  });
  it("say what PromQL says once, also after news came", async () => {
    answers({ data: { resultType: "matrix", result: [{ metric: { a: "1" }, values: [[0, "1"], [1, "2"]] }] }, warnings: ["w"] });
    const read = await queryRange("x", { from: 0, to: 1, step: 1 });
    const next = extended([read], 0, { from: 2, to: 2, missed: false, points: { times: [2], series: [{ labels: { a: "1" }, values: [3] }] } }, 1)!;
    expect(notesOf([...next, read])).toEqual([{ level: "warning", text: "w" }]);
    expect(next[0]!.times).toEqual([1, 2]);
  });
});

test("a legend takes labels of any name", () => {
  expect(legend("{{http.route}} {{ code }}", { "http.route": "/a", code: "200" })).toBe("/a 200");
});

test("what was asked lately stands in front, once", () => {
  expect(withRecent(["a", "b"], " b ")).toEqual(["b", "a"]);
  expect(withRecent(["a"], "  ")).toEqual(["a"]);
  expect(withRecent(Array.from({ length: 50 }, (_, n) => `q${n}`), "new")).toHaveLength(50);
  expect(remember(["up", "down"])).toEqual(["up", "down"]);
  expect(recent()).toEqual(["up", "down"]);
  localStorage.setItem("tenfold.queries", "{broken");
  expect(recent()).toEqual([]);
});

test("a range moves by half of itself, and grows no further than now", () => {
  expect(shifted(FIXED, "earlier")).toEqual({ fromMs: 1_699_999_970_000, toMs: 1_700_000_030_000 });
  expect(shifted(FIXED, "later")).toEqual({ fromMs: 1_700_000_030_000, toMs: 1_700_000_090_000 });
  expect(widened(FIXED, FIXED.toMs)).toEqual({ fromMs: FIXED.toMs - 120_000, toMs: FIXED.toMs });
  expect(widened(FIXED, FIXED.toMs + 3_600_000)).toEqual({ fromMs: FIXED.fromMs - 30_000, toMs: FIXED.toMs + 30_000 });
});

test("a panel that is dragged takes the place it is dropped on", () => {
  expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
  expect(moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
});
