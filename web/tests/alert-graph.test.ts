import { expect, test } from "vitest";
import { openingOf, ownSeries } from "../src/parts/alertGraph";
import { tellingLabels } from "../src/parts/alertLabels";

type Labels = Record<string, string>;

const of = (...all: Labels[]): { labels: Labels }[] => all.map((labels) => ({ labels }));
const HOSTS = of(...["db1", "db2", "db3"].map((instance) => ({ __name__: "up", instance, job: "node" })));

test("of a rule over three hosts an alert has its own host", () => {
  expect(ownSeries(HOSTS, { alertname: "Down", severity: "critical", instance: "db2", job: "node" })).toEqual([HOSTS[1]]);
});

test("labels that the alert has not do not hide its series, and those that differ do", () => {
  const series = of({ check: "disk", host: "db1", perf: "/" }, { check: "disk", host: "db1", perf: "/var" }, { check: "disk", host: "db2", perf: "/" });
  expect(ownSeries(series, { alertname: "disk", host: "db1" })).toEqual(series.slice(0, 2));
});

test("a series that is wholly its own goes before one that only may be", () => {
  const series = of({ job: "node", instance: "db1" }, { job: "node" });
  expect(ownSeries(series, { alertname: "Slow", job: "node" })).toEqual([series[1]]);
});

test("where no label fits all are drawn", () => {
  expect(ownSeries(HOSTS, { alertname: "Down", instance: "named otherwise" })).toEqual(HOSTS);
});

const NOW = Date.parse("2026-11-28T03:00:00Z");
const ago = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();

test.each([[1, "15m"], [20, "1h"], [170, "6h"], [60 * 24, "7d"], [60 * 24 * 40, "30d"]])("the graph of an alert that lasts for %i min shows its beginning", (minutes, name) => {
  expect(openingOf({ state: "firing", active_since: ago(minutes), resolved_at: null }, NOW)).toEqual({ name });
});

test("of an alert that is over the graph shows all of it", () => {
  expect(openingOf({ state: "resolved", active_since: ago(600), resolved_at: ago(480) }, NOW)).toEqual({ ends: { from: NOW - 660 * 60_000, to: NOW - 420 * 60_000 } });
  expect(openingOf({ state: "resolved", active_since: ago(5), resolved_at: ago(2) }, NOW)).toEqual({ name: "15m" });
  expect(openingOf({ state: "resolved", active_since: ago(65), resolved_at: ago(5) }, NOW)).toEqual({ name: "6h" });
});

test("alerts of one rule are told apart by what their sentence does not say", () => {
  const labels = { alertname: "Slow", severity: "critical", service: "photos", job: "node", zone: "eu", device: "sda", instance: "db1:9100", a: "1" };
  expect(tellingLabels({ summary: "", labels })).toBe("instance=db1:9100, device=sda, job=node");
  expect(tellingLabels({ summary: "sda of db1:9100 is slow", labels })).toBe("job=node, a=1, zone=eu");
  expect(tellingLabels({ summary: "", labels: { alertname: "Slow", empty: "" } })).toBe("");
  expect(tellingLabels({ summary: "", labels: { host: "x".repeat(200) } })).toBe(`host=${"x".repeat(60)}…`);
});
