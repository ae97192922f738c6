import { expect, test } from "vitest";
import type { TimelineEvent } from "../src/api/types";
import { joined } from "../src/charts/useLines";
import { told } from "../src/pages/incidents/IncidentTimeline";

test("a host's line goes on in its next instance", () => {
  const lines = joined([
    { label: "host-2", values: [null, null, 5, 6] },
    { label: "host-10", values: [9, 9, 9, 9] },
    { label: "host-2", values: [1, 2, 3, null] },
  ]);
  expect(lines).toEqual([
    { label: "host-2", values: [1, 2, 5, 6] },
    { label: "host-10", values: [9, 9, 9, 9] },
  ]);
});

test("lines of one name that are there side by side are not one", () => {
  const wide = (of: number, from = 0, to = 20): (number | null)[] => Array.from({ length: 20 }, (_, at) => (at >= from && at < to ? of : null));
  const labels = (...values: (number | null)[][]): string[] => joined(values.map((one) => ({ label: "cpu", values: one })), 60).map(({ label }) => label);
  expect(labels(wide(1), wide(2), wide(3))).toEqual(["cpu", "cpu (2)", "cpu (3)"]);
  // An end is told five minutes late, and a rate goes on as long as it looks back.
  expect(labels(wide(1, 0, 12), wide(2, 8))).toEqual(["cpu"]);
  expect(labels(wide(1, 0, 13), wide(2, 7))).toEqual(["cpu"]);
  expect(labels(wide(1), wide(2, 8))).toEqual(["cpu", "cpu (2)"]);
  expect(joined([{ label: "a", values: wide(1) }, { label: "b", values: wide(2) }], 60)).toHaveLength(2);
});

test("many lines of one name take no look at all lines for each instant", () => {
  const values = Array.from({ length: 20 }, () => 1);
  let looks = 0;
  const lines = Array.from({ length: 100 }, () => ({
    label: "cpu",
    get values() {
      looks += 1;
      return values;
    },
  }));
  expect(joined(lines, 60)).toHaveLength(100);
  expect(looks).toBeLessThan(lines.length * values.length);
});

test("of one deploy's rows the last is told", () => {
  const row = (seq: number, correlation: string | null): TimelineEvent => ({ seq, correlation }) as TimelineEvent;
  const lines = told([row(1, "deploy:4"), row(2, "flag:a"), row(3, "deploy:4"), row(4, "flag:a"), row(5, null), row(6, null)]);
  expect(lines.map(({ event, rows }) => [event.seq, rows])).toEqual([[2, 1], [3, 2], [4, 1], [5, 1], [6, 1]]);
});
