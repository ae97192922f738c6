import { act } from "react";
import { describe, expect, it, test, vi } from "vitest";
import { queryInstant } from "../src/api/promql";
import type { DashboardMark, Panel } from "../src/api/types";
import { cells, columnsOf, readColumns, readSort, rowsOf, sorted, writeColumns, writeSort } from "../src/charts/columns";
import { linesCsv } from "../src/charts/csv";
import { bridged, connected, heights, zeroed } from "../src/charts/look";
import { addressOf } from "../src/charts/PanelLinks";
import { PanelChart } from "../src/charts/PanelChart";
import { reducedRows, type Newest } from "../src/charts/panels/useNewest";
import { marksOf, MARKS_MAX } from "../src/charts/queryMarks";
import { reduced } from "../src/charts/reduce";
import type { Range } from "../src/charts/range";
import type { Line } from "../src/charts/summary";
import { ALL, fill, filledLinks, matching, overview, sampleText } from "../src/charts/variables";
import { readWords, told, wordOf, writeWords } from "../src/charts/words";
import { format } from "../src/lib/units";
import { blocks, inline, safeLink } from "../src/lib/markdown";
import { asKind } from "../src/pages/graphs/LookFields";
import { chosenMarks } from "../src/pages/graphs/MarkSwitches";
import { panelRows, stillFolded } from "../src/pages/graphs/rows";
import { readVariable, withVariable, writeVariable } from "../src/pages/graphs/VariableForm";
import { box, mountEach, render } from "./mount";

mountEach();

const line = (label: string, values: (number | null)[], extra: Partial<Line> = {}): Line => ({ label, values, ...extra });
const TIMES = [0, 10, 20, 30, 40, 50];

describe("where a series has no value", () => {
  it("a line goes over the gap, but nothing is made up at its ends", () => {
    expect(connected(TIMES, [null, 1, null, null, 4, null], {})).toEqual([null, 1, 2, 3, 4, null]);
    expect(connected(TIMES, [1, 2, 3, 4, 5, 6], {})).toEqual([1, 2, 3, 4, 5, 6]);
    expect(connected(TIMES, [null, null, null, null, null, null], {})).toEqual([null, null, null, null, null, null]);
  });
  it("a longer gap than is said stays one", () => {
    const values = [0, null, 2, null, null, 5];
    expect(connected(TIMES, values, { connect_max_ms: 20_000 })).toEqual([0, 1, 2, null, null, 5]);
    expect(connected(TIMES, values, { connect_max_ms: 30_000 })).toEqual([0, 1, 2, 3, 4, 5]);
    expect(connected(TIMES, values, { connect_max_ms: 19_999 })).toEqual(values);
  });
  it("the line is straight on a logarithmic axis as well", () => {
    const drawn = connected([0, 1, 2], [1, null, 100], { log: true });
    expect(drawn[1]).toBeCloseTo(10);
    expect(connected([0, 1, 2], [0, null, 100], { log: true })).toEqual([0, null, 100]);
  });
  it("0 stands there, in the table and the file as well, except where a value may only not have come yet", () => {
    const lines = [line("a", [null, 1, null, 2, null, null]), line("b", [null, null, 3, null, null, null])];
    expect(zeroed(lines, false).map(({ values }) => values)).toEqual([[0, 1, 0, 2, 0, 0], [0, 0, 3, 0, 0, 0]]);
    expect(zeroed(lines, true).map(({ values }) => values)).toEqual([[0, 1, 0, 2, null, null], [0, 0, 3, 0, null, null]]);
    expect(zeroed([line("a", [1, null, null, null, null, null])], true)[0]?.values).toEqual([1, 0, 0, 0, null, null]);
    expect(zeroed([line("a", [1, null]), line("b", [1, 2])], true)[0]?.values).toEqual([1, 0]);
    expect(zeroed([], true)).toEqual([]);
    expect(linesCsv([0, 10], zeroed([line("a", [null, 1])], false))).toBe("time,a\r\n1970-01-01T00:00:00.000Z,0\r\n1970-01-01T00:00:10.000Z,1\r\n");
  });
  it("limits and bounds are left alone, and what is drawn does not change the numbers", () => {
    const lines = [line("a", [1, null, 3]), line("limit", [null, 9, null], { limit: true })];
    expect(zeroed(lines, false)[1]).toBe(lines[1]);
    const drawn = bridged([0, 1, 2], lines, { nulls: "connect" });
    expect(drawn.map(({ values }) => values)).toEqual([[1, 2, 3], [null, 9, null]]);
    expect(lines[0]?.values).toEqual([1, null, 3]);
    expect(bridged([0, 1, 2], lines, { nulls: "gap" })).toBe(lines);
    expect(heights(bridged([0, 1, 2], [line("a", [1, null, 3]), line("b", [1, 1, 1])], { nulls: "connect" }), { stacked: true })).toEqual([[1, 2, 3], [2, 3, 4]]);
  });
});

test.each([["last", 3], ["min", 1], ["max", 5], ["mean", 3], ["sum", 9], ["count", 3], ["range", 4]] as const)("of the values of a range: %s", (how, value) => {
  expect(reduced([null, 1, null, 5, 3, null], how)).toBe(value);
  expect(reduced([null, null], how)).toBeNull();
});

const panel = (more: Partial<Panel>): Panel => ({ title: "P", queries: [{ expr: "a" }, { expr: "b", legend: "B" }], ...more });

describe("one value of a range", () => {
  const results = [{ times: [0, 10, 20], series: [{ labels: { host: "x" }, values: [1, null, 3] }, { labels: { host: "h" }, values: [null, null, null], histograms: [null, null, null] }] }];
  it("is that of each series, with the line below it", () => {
    const one = panel({ queries: [{ expr: "a", legend: "{{host}}" }], reduce: "sum", nulls: "connect" });
    expect(reducedRows(results, one, false)).toEqual([{ label: "x", labels: { host: "x" }, query: 0, value: 4, line: [1, 2, 3] }]);
  });
  it("counts 0 where 0 stands for nothing", () => {
    const [row] = reducedRows(results, panel({ queries: [{ expr: "a" }], reduce: "count", nulls: "zero" }), false);
    expect([row?.value, row?.line]).toEqual([3, [1, 0, 3]]);
  });
});

const newest = (host: string, query: number, value: number | null, more: Record<string, string> = {}): Newest => ({ label: host, labels: { __name__: query ? "b" : "a", host, ...more }, query, value });

describe("a table with columns", () => {
  const all = [newest("h2", 0, 1), newest("h10", 0, 3), newest("h2", 1, 20), newest("h9", 1, null)];
  const rows = rowsOf(all, 2);
  it("has a row for each set of labels and a column for each query", () => {
    expect(rows).toEqual([{ labels: { host: "h2" }, values: [1, 20] }, { labels: { host: "h10" }, values: [3, null] }, { labels: { host: "h9" }, values: [null, null] }]);
    expect(columnsOf(rows, panel({ unit: "ratio" })).map(({ name, title, unit }) => [name, title, unit])).toEqual([["host", "host", "ratio"], ["value", "Value 1", "ratio"], ["value 2", "B", "ratio"]]);
  });
  it("names them, in units of their own, in its order, and leaves out what is hidden", () => {
    const columns = columnsOf(rows, panel({ columns: [{ name: "value 2", title: "Load", unit: "bytes" }, { name: "host", hidden: true }, { name: "gone" }] }));
    expect(columns).toEqual([{ name: "value 2", title: "Load", query: 1, unit: "bytes" }, { name: "value", title: "Value 1", query: 0, unit: "short" }]);
    expect(cells(rows[0]!, columns)).toEqual([20, 1]);
  });
  it("tells metrics of one query apart", () => {
    const mixed = rowsOf([newest("h", 0, 1), { ...newest("h", 0, 2), labels: { __name__: "b", host: "h" } }], 1);
    expect(mixed.map(({ labels }) => labels.__name__)).toEqual(["a", "b"]);
    expect(columnsOf(mixed, panel({ queries: [{ expr: "a" }] })).map(({ title }) => title)).toEqual(["Metric", "host", "Value"]);
  });
  it.each([
    [{ by: "value" }, ["h2", "h10", "h9"]], [{ by: "value", descending: true }, ["h10", "h2", "h9"]],
    [{ by: "host" }, ["h2", "h9", "h10"]], [{ by: "host", descending: true }, ["h10", "h9", "h2"]], [null, ["h2", "h10", "h9"]],
  ])("is sorted by %j, what has no value last", (sort, hosts) => expect(sorted(rows, sort).map(({ labels }) => labels.host)).toEqual(hosts));
  it("puts what is no number last as well, and infinities at the ends", () => {
    const odd = [NaN, 2, Infinity, 1, -Infinity, Infinity].map((value) => ({ labels: {}, values: [value] }));
    const values = (descending: boolean): (number | null)[] => sorted(odd, { by: "value", descending }).flatMap((row) => row.values);
    expect(values(false)).toEqual([-Infinity, 1, 2, Infinity, Infinity, NaN]);
    expect(values(true)).toEqual([Infinity, Infinity, 2, 1, -Infinity, NaN]);
  });
  it("is written in words", () => {
    const text = "instance as Host, value 2 as Load in ratio, job hidden";
    expect(readColumns(text)).toEqual([{ name: "instance", title: "Host" }, { name: "value 2", title: "Load", unit: "ratio" }, { name: "job", hidden: true }]);
    expect(writeColumns(readColumns(text)!)).toBe(text);
    for (const wrong of ["value in miles", "a, a"]) expect(readColumns(wrong)).toBeNull();
    expect([readColumns(""), readSort(""), readSort("value 2 descending"), readSort("host")]).toEqual([[], null, { by: "value 2", descending: true }, { by: "host" }]);
    expect([writeSort({ by: "value", descending: true }), writeSort(null)]).toEqual(["value descending", ""]);
  });
});

describe("marks by a query", () => {
  const mark: DashboardMark = { name: "Restarts", expr: "x", title: "{{host}} began anew", tags: ["job", "none"] };
  const of = (values: (number | null)[]) => ({ times: [10, 20, 30, 40], series: [{ labels: { host: "a", job: "web" }, values }] });
  it("are one for each stretch with a value other than 0", () => {
    const marks = marksOf(of([1, 0, 2, 1]), mark);
    expect(marks.map(({ at, end_at, text, kind }) => [Date.parse(at) / 1000, end_at ? Date.parse(end_at) / 1000 : null, text, kind])).toEqual([
      [10, null, "a began anew: job web", "mark"], [30, 40, "a began anew: job web", "mark"],
    ]);
    expect(marksOf(of([null, 0, null, 0]), mark)).toEqual([]);
  });
  it("stand where their value says, each once, and nowhere when it is no instant", () => {
    const marks = marksOf(of([1_700_000_000_000, 1_700_000_000_000, null, 9e15]), { ...mark, title: null, value_is_time: true });
    expect(marks.map(({ at, end_at, text }) => [at, end_at, text])).toEqual([["2023-11-14T22:13:20.000Z", null, "Restarts: job web"]]);
  });
  it("have numbers of their own", () => {
    const values = Array.from({ length: 2 * MARKS_MAX + 4 }, (_, at) => at % 2);
    const seqs = marksOf({ times: values.map((_, at) => at), series: [{ labels: {}, values }] }, mark).map(({ seq }) => seq);
    expect(new Set(seqs).size).toBe(MARKS_MAX + 2);
    expect(Math.max(...seqs)).toBeLessThan(0);
  });
  it("are drawn unless they are off, or as the address says", () => {
    const marks = [mark, { ...mark, name: "Backups", off: true }];
    expect(chosenMarks(marks, []).map(({ name }) => name)).toEqual(["Restarts"]);
    expect(chosenMarks(marks, ["Backups"]).map(({ name }) => name)).toEqual(["Backups"]);
    expect(chosenMarks(marks, ["-"])).toEqual([]);
  });
});

describe("links", () => {
  it("take the range and the choices along, but not over what they say themselves", () => {
    const search = "?range=1h&var-job=web&edit=1&mark=x";
    expect(addressOf({ title: "", to: "/graphs/nodes", keeps_range: true }, search)).toBe("/graphs/nodes?range=1h&var-job=web");
    expect(addressOf({ title: "", to: "/graphs/nodes?var-job=db", keeps_range: true }, search)).toBe("/graphs/nodes?var-job=db&range=1h");
    expect(addressOf({ title: "", to: "/graphs/nodes" }, search)).toBe("/graphs/nodes");
    expect(addressOf({ title: "", to: "https://example.org/", keeps_range: true }, search)).toBe("https://example.org/");
  });
  it("have values as parts of an address", () => {
    const [link] = filledLinks([{ title: "Of $job", to: "/graphs/a?var-job=$job&x=${host}" }], { job: ["a&b", "c"], host: "d/e" });
    expect(link).toEqual({ title: "Of a&b, c", to: "/graphs/a?var-job=a%26b&var-job=c&x=d%2Fe" });
    expect(filledLinks(undefined, {})).toEqual([]);
  });
});

describe("words", () => {
  it("are blocks", () => {
    expect(blocks("# A\n\nb\nc\n- d\n- e\n1. f\n> g\n---\n```\n<b>\n```").map((block) => block.kind)).toEqual(["heading", "paragraph", "list", "list", "quote", "line", "code"]);
    expect(blocks("```\n**a**\n")).toEqual([{ kind: "code", text: "**a**\n" }]);
    expect(blocks("- a\n- b")).toEqual([{ kind: "list", ordered: false, items: [[{ kind: "text", text: "a" }], [{ kind: "text", text: "b" }]] }]);
  });
  it("have emphasis, code and links", () => {
    expect(inline("a **b** `c` [d](/e) snake_case_name")).toEqual([
      { kind: "text", text: "a " }, { kind: "strong", inside: [{ kind: "text", text: "b" }] }, { kind: "text", text: " " }, { kind: "code", text: "c" },
      { kind: "text", text: " " }, { kind: "link", to: "/e", inside: [{ kind: "text", text: "d" }] }, { kind: "text", text: " snake_case_name" },
    ]);
    expect(inline("see https://example.org/x.")).toEqual([{ kind: "text", text: "see " }, { kind: "link", to: "https://example.org/x", inside: [{ kind: "text", text: "https://example.org/x" }] }, { kind: "text", text: "." }]);
  });
  it("lead nowhere else, and HTML is only text", () => {
    for (const bad of ["javascript:alert(1)", "//example.org", "/\\example.org", "data:text/html,x"]) expect(safeLink(bad)).toBeNull();
    expect(inline("[a](javascript:x) <b>")).toEqual([{ kind: "text", text: "[a](javascript:x)" }, { kind: "text", text: " <b>" }]);
  });
  it("are drawn in a panel", async () => {
    const range: Range = { fromMs: 0, toMs: 60_000, name: null, text: "then" };
    await render(<PanelChart panel={panel({ kind: "text", queries: [], text: "# Hello\n<i>a</i> **b**" })} range={range} markers={[]} />);
    expect(box.querySelector("h4")?.textContent).toBe("Hello");
    expect([box.querySelector("strong")?.textContent, box.querySelector("i")]).toEqual(["b", null]);
  });
});

describe("words for values", () => {
  const text = "0 = down (critical), 1 = up, 2..5 = some, ..-1 = less, 10.. = many (warning), nothing = N/A";
  const words = readWords(text)!;
  it("are read as they are written", () => {
    expect(words).toEqual([
      { value: 0, text: "down", level: "critical" }, { value: 1, text: "up" }, { from: 2, to: 5, text: "some" },
      { to: -1, text: "less" }, { from: 10, text: "many", level: "warning" }, { nothing: true, text: "N/A" },
    ]);
    expect(writeWords(words)).toBe(text);
    expect(readWords("")).toEqual([]);
    for (const wrong of ["up", "x = up", ".. = all", "1 ="]) expect(readWords(wrong)).toBeNull();
  });
  it.each([[0, "down"], [1, "up"], [3, "some"], [-4, "less"], [12, "many"], [null, "N/A"], [7, undefined]])("of %s", (value, wanted) => expect(wordOf(value, words)?.text).toBe(wanted));
  it("are told instead of the number, where one fits", () => {
    expect([told(0, "ratio", words), told(7, "short", words), told(null, "short", undefined)]).toEqual(["down", "7", "no data"]);
    expect(wordOf(0, [{ nothing: true, text: "N/A" }])).toBeNull();
  });
});

describe("where values of a variable come from", () => {
  it("is read as it is written", () => {
    expect(readVariable("a", "5m, 1h")).toEqual({ name: "a", values: ["5m", "1h"] });
    expect(readVariable("a", 'label: host of up{job="x"}')).toEqual({ name: "a", label: "host", of: 'up{job="x"}', all: true });
    expect(readVariable("a", "query: topk(5, load)")).toEqual({ name: "a", query: "topk(5, load)" });
    expect([readVariable("a", "text: web.*"), readVariable("a", "text:")]).toEqual([{ name: "a", free: true, values: ["web.*"] }, { name: "a", free: true }]);
  });
  it("is written as it is read", () => {
    for (const text of ["5m, 1h", "label: host of up", "label: host", "query: topk(5, load)", "text: web.*"]) expect(writeVariable(readVariable("a", text))).toBe(text);
  });
  it("keeps the place of a variable, and whether all can be chosen", () => {
    const before = [{ name: "a", label: "job" }, { name: "b", values: ["1", "2"], all: true }];
    expect(withVariable(before, readVariable("a", "label: host"))).toEqual([{ name: "a", label: "host", all: false }, before[1]]);
    expect(withVariable(before, readVariable("b", "3")).at(1)).toEqual({ name: "b", values: ["3"], all: true });
    expect(withVariable(before, readVariable("b", "text: 3")).at(1)).toEqual({ name: "b", free: true, values: ["3"] });
    expect(withVariable(before, readVariable("c", "4")).map(({ name }) => name)).toEqual(["a", "b", "c"]);
  });
  it("may be a query, in whose series a regular expression finds them", () => {
    const text = sampleText({ labels: { __name__: "load", instance: "h1:9100", job: "node" }, value: 2.5 });
    expect(text).toBe('load{instance="h1:9100",job="node"} 2.5');
    expect(matching([text], 'instance="([^"]+)"')).toEqual(["h1:9100"]);
    expect(overview([{ name: "a", free: true }, { name: "b", free: true, values: ["x"] }])).toEqual({ a: "", b: "x" });
  });
});

test.each([[0.25, "watt", "250 mW"], [0, "volt", "0 V"], [1500, "watt", "1.5 kW"], [-12, "ampere", "-12 A"], [1e13, "date", "10000000000000"]])("%s in %s", (value, unit, text) => expect(format(value, unit)).toBe(text));

test("a date is told as an instant", () => {
  const text = format(new Date(2024, 4, 5, 6, 7, 8).getTime() / 1000, "date");
  expect(text).toContain("06:07:08");
  expect(text).not.toBe("06:07:08");
});

test("a long query is sent as a form, which no proxy finds too long", async () => {
  const sent: [string, RequestInit | undefined][] = [];
  vi.stubGlobal("fetch", vi.fn(async (address: string, how?: RequestInit) => {
    sent.push([address, how]);
    return new Response(JSON.stringify({ status: "success", data: { resultType: "scalar", result: [1, "1"] } }), { headers: { "content-type": "application/json" } });
  }));
  await queryInstant("1");
  await queryInstant(`up{job=~"${"a|".repeat(3_000)}"}`, 60);
  const [short, long] = sent;
  expect([short?.[0], short?.[1]?.method]).toEqual(["/api/v1/query?query=1", undefined]);
  expect([long?.[0], long?.[1]?.method]).toEqual(["/api/v1/query", "POST"]);
  const form = long?.[1]?.body as URLSearchParams;
  expect([form.get("time"), form.get("query")?.length]).toEqual(["60", 6_011]);
});

describe("rows", () => {
  const of = (title: string, row?: string): Panel => ({ title, queries: [], ...(row ? { row } : {}) });
  it("are panels that follow each other", () => {
    const rows = panelRows([of("a"), of("b", "Disks"), of("c", "Disks"), of("d", "Load"), of("e", "Disks")]);
    expect(rows.map(({ title, panels }) => [title, panels.length])).toEqual([[null, 1], ["Disks", 2], ["Load", 1], ["Disks", 1]]);
  });
  it("are folded as long as they have a panel", () => expect(stillFolded(["Disks", "Gone"], [of("a", "Disks")])).toEqual(["Disks"]));
});

test("a panel of another kind has not what the server refuses there", () => {
  const full = panel({ kind: "table", reduce: "max", columns: [{ name: "value" }], sort: { by: "value" }, nulls: "connect", connect_max_ms: 5, text: "x", sparkline: true });
  expect(asKind(full)).toMatchObject({ reduce: "max", columns: [{ name: "value" }], nulls: "gap", connect_max_ms: null, sparkline: false, text: null });
  expect(asKind({ ...full, kind: "graph" })).toMatchObject({ reduce: "last", columns: [], sort: null, nulls: "connect", connect_max_ms: 5 });
  expect(asKind({ ...full, kind: "text" })).toMatchObject({ queries: [], text: "x", reduce: "last" });
});

test("where nobody chooses, all values of a label stand and the first of a list", () => {
  const values = overview([{ name: "job", label: "job" }, { name: "window", values: ["5m", "1h"] }]);
  expect(values).toEqual({ job: ALL, window: "5m" });
  const range: Range = { fromMs: 0, toMs: 900_000, name: null, text: "", step: 1 };
  expect(fill('rate(a{job="$job"}[$window] offset $__interval)', values, range)).toBe('rate(a{job=~".*"}[5m] offset 1s)');
});

test.each([
  [{ words: [{ nothing: true, text: "all is well" }] }, [], "all is well"],
  [{ series: [{ hidden: true }] }, [{ metric: { host: "a" }, value: [60, "1"] }], "No data."],
  [{ kind: "top" }, [{ metric: { host: "a" }, value: [60, "NaN"] }], "No data."],
] as [Partial<Panel>, unknown[], string][])("what there is nothing of says so: %j", async (more, result, words) => {
  vi.stubGlobal("fetch", vi.fn(async () => new Response(JSON.stringify({ status: "success", data: { resultType: "vector", result } }), { headers: { "content-type": "application/json" } })));
  await render(<PanelChart panel={panel({ kind: "stat", queries: [{ expr: "a" }], ...more })} range={{ fromMs: 0, toMs: 60_000, name: null, text: "then" }} markers={[]} />);
  await act(async () => vi.waitFor(() => expect(box.textContent).toContain(words)));
});

test("how many values there are is no number of seconds", async () => {
  const result = [{ metric: { host: "a" }, values: [[0, "5"], [60, "7"]] }];
  vi.stubGlobal("fetch", vi.fn(async () => new Response(JSON.stringify({ status: "success", data: { resultType: "matrix", result } }), { headers: { "content-type": "application/json" } })));
  await render(<PanelChart panel={panel({ kind: "top", queries: [{ expr: "a" }], unit: "seconds", reduce: "count" })} range={{ fromMs: 0, toMs: 60_000, name: null, text: "then", step: 60 }} markers={[]} />);
  await act(async () => vi.waitFor(() => expect(box.querySelectorAll(".bars li")).toHaveLength(1)));
  expect(box.querySelector(".bars .number")?.textContent).toBe("2");
});

describe("a table panel", () => {
  const range: Range = { fromMs: 0, toMs: 60_000, name: null, text: "then" };
  it("sorts by the column that is pressed", async () => {
    const result = [["a", "2"], ["b", "10"]].map(([host, value]) => ({ metric: { host }, value: [60, value] }));
    vi.stubGlobal("fetch", vi.fn(async () => new Response(JSON.stringify({ status: "success", data: { resultType: "vector", result } }), { headers: { "content-type": "application/json" } })));
    await render(<PanelChart panel={panel({ kind: "table", queries: [{ expr: "x" }], sort: { by: "value", descending: true } })} range={range} markers={[]} />);
    await act(async () => vi.waitFor(() => expect(box.querySelectorAll("tbody tr")).toHaveLength(2)));
    const firsts = (): (string | null)[] => [...box.querySelectorAll("tbody tr")].map((row) => row.querySelector("td")!.textContent);
    expect(firsts()).toEqual(["b", "a"]);
    await act(async () => [...box.querySelectorAll("button")].find(({ textContent }) => textContent?.startsWith("Value"))!.click());
    expect(firsts()).toEqual(["a", "b"]);
    expect(box.querySelector('th[aria-sort="ascending"]')?.textContent).toContain("Value");
  });
});
