import { expect, test } from "vitest";
import { ownSeries } from "../src/parts/alertGraph";

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
