import { describe, expect, it, test } from "vitest";
import type { JobInterval } from "../src/api/types";
import { exploreOf } from "../src/charts/PanelLinks";
import { asksRate, rateInterval, scrapedEvery, waits } from "../src/charts/scraped";
import { fill } from "../src/charts/variables";

const job = (name: string, interval_ms: number, targets: number, others: JobInterval["others"] = []): JobInterval => ({ job: name, interval_ms, targets, others });
const SCRAPED = [job("web", 15_000, 4), job("node", 60_000, 1), job("slow.x", 300_000, 2, [{ instance: "d:1", interval_ms: 120_000 }, { instance: "e:1", interval_ms: 120_000 }])];

describe("how often what a query reads is scraped", () => {
  it.each([
    ["up", 15], ['up{job="node"}', 60], ["up{job='slow.x'}", 300], ['up{job=~"no.*"}', 60], ['up{job=~"slow\\\\.x|nobody"}', 300],
    ['up{job="slow.x",instance="c:1"}', 300], ['up{job="node"} / on() up{job="slow.x"}', 300], ['up{job="pushed"}', 15], ['up{exported_job="node"}', 15],
    ['up{job=~"("}', 15], ['up{job!="node"}', 15], ['up{job="web",instance=~"a.*"}', 15], ['up{job=~".*"}', 15],
    ['up{instance="d:1"}', 120], ['up{job="slow.x",instance="d:1"}', 120], ['up{job="web",instance="d:1"}', 15], ['up{job="slow.x"}', 300],
    ['up{job="slow.x",instance="d:1"} / up{instance="e:1"}', 120], ['up{job="slow.x",instance="d:1"} / up{instance="c:1"}', 300], ['up{job="slow.x",instance=~"[cd].1"}', 300],
  ])("%s", (expr, seconds) => expect(scrapedEvery(expr, SCRAPED)).toBe(seconds));
  it("is the usual where nothing is scraped", () => expect(scrapedEvery("up", [])).toBe(15));
  it("makes a rate's window hold four of its samples, or a step and one more", () => {
    expect(rateInterval('up{job="node"}', 10, SCRAPED)).toBe(240);
    expect(rateInterval('up{job="node"}', 600, SCRAPED)).toBe(660);
    expect(rateInterval("up", 10)).toBe(60);
    expect(rateInterval("up", 1, [job("fast", 500, 1)])).toBe(2);
  });
});

test("a dashboard's rates go by the targets that are chosen", () => {
  const range = { fromMs: 0, toMs: 3_600_000, name: "1h", text: "last 1 h", scraped: SCRAPED };
  const expr = 'rate(a{job="$job"}[$__rate_interval])';
  expect(fill(expr, { job: "node" }, range)).toBe('rate(a{job="node"}[240s])');
  expect(fill(expr, { job: "web" }, range)).toBe('rate(a{job="web"}[60s])');
  expect(fill("rate(a[$__rate_interval])", { $filters: ['job="node"'] }, range)).toBe('rate(a{job="node"}[240s])');
  expect(fill("rate(a[${__rate_interval}]) + $__rate_intervals", {}, range)).toBe("rate(a[60s]) + $__rate_intervals");
});

test("what is asked for waits while it is not known how often is scraped", () => {
  const range = { fromMs: 0, toMs: 3_600_000, name: "1h", text: "last 1 h" };
  const queries = ["rate(a[$__rate_interval])", "rate(a[${__rate_interval}])", "rate(a[$__interval])", "rate(a[$__rate_intervals])"];
  const waiting = queries.map((query) => waits([fill(query, {}, { ...range, waits: true })], { ...range, waits: true }));
  expect(waiting).toEqual([true, true, false, false]);
  expect(fill("rate(a[$__rate_interval])", { $filters: ['job="node"'] }, { ...range, waits: true })).toBe('rate(a{job="node"}[$__rate_interval])');
  expect(queries.map((query) => waits([fill(query, {}, range)], range))).toEqual([false, false, false, false]);
  expect([undefined, [], { panels: [{ queries: [{ expr: queries[3] }] }] }, { panels: [{ queries: [{ expr: queries[1] }] }] }].map(asksRate)).toEqual([false, false, false, true]);
});

test("a panel leads to Explore as it is drawn, over the same range", () => {
  const moving = { fromMs: 0, toMs: 900_000, name: "15m", text: "" };
  expect(exploreOf({ title: "A", queries: [{ expr: "a + b" }, { expr: "c" }], unit: "seconds", stacked: true }, moving)).toBe("/graphs/explore?expr=a+%2B+b&expr=c&unit=seconds&shown=stacked&range=15m");
  expect(exploreOf({ title: "A", queries: [{ expr: "h" }], kind: "heatmap", exemplars: true, unit: "short" }, { ...moving, name: null, fromMs: 1.4, step: 1 })).toBe("/graphs/explore?expr=h&shown=heatmap&exemplars=1&step=1&from=1&to=900000");
});
