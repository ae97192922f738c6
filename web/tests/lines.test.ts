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

test("of one deploy's rows the last is told", () => {
  const row = (seq: number, correlation: string | null): TimelineEvent => ({ seq, correlation }) as TimelineEvent;
  const lines = told([row(1, "deploy:4"), row(2, "flag:a"), row(3, "deploy:4"), row(4, "flag:a"), row(5, null), row(6, null)]);
  expect(lines.map(({ event, rows }) => [event.seq, rows])).toEqual([[2, 1], [3, 2], [4, 1], [5, 1], [6, 1]]);
});
