import type uPlot from "uplot";
import { expect, test } from "vitest";
import type { Marker } from "../src/api/types";
import { KINDS, marksAt } from "../src/charts/markers";
import { summary } from "../src/charts/summary";

/** One pixel for each second since the epoch. */
const plot = { valToPos: (value: number) => value } as unknown as uPlot;
const mark = (kind: Marker["kind"], from: number, to?: number): Marker => ({
  seq: from, kind, at: new Date(from * 1000).toISOString(), end_at: to === undefined ? null : new Date(to * 1000).toISOString(), text: kind, actor_name: "mei", subject: {},
});
const marks = [mark("canary", 100, 200), mark("deploy", 150), mark("alert", 300, 400), mark("incident", 320), mark("note", 900)];

test.each([
  ["a line before the band it stands in", 152, ["deploy"]],
  ["anywhere in a band", 120, ["canary"]],
  ["the beginning of an alert", 303, ["alert"]],
  ["an alert and its incident, while both last", 390, ["alert", "incident"]],
  ["an incident that goes on", 600, ["incident"]],
  ["nothing before anything began", 50, []],
])("under the pointer: %s", (_, left, kinds) => expect(marksAt(plot, marks, left).map(({ kind }) => kind)).toEqual(kinds));

test("every kind has a sign of its own and is counted in words", () => {
  const signs = Object.values(KINDS).map(({ sign }) => sign);
  expect(new Set(signs).size).toBe(signs.length);
  expect(summary("Up", "short", [{ label: "a", values: [1] }], [mark("alert", 1), mark("alert", 2), mark("incident", 3)], "last 1 h")).toContain("Marked: 2 alerts, 1 incident.");
});
