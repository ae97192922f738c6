import { expect, test } from "vitest";
import type { Dashboard } from "../src/api/types";
import { toYaml } from "../src/lib/yaml";
import { fileName, fileOf } from "../src/pages/graphs/written";

test("a dashboard is saved as the file that tenfold apply takes, without what the server says of it", () => {
  const dashboard: Dashboard = {
    name: "nodes", title: "Nodes: all", service: null, range: "6h", version: 7, saved_by: "mei", saved_at: "2026-11-26T12:00:00Z", generated: false, note: "drawn",
    variables: [{ name: "window", values: ["5m", "1h"] }],
    panels: [
      { title: "Busy", unit: "ratio", width: 2, max: 0.5, queries: [{ expr: 'sum by (job) (\n  up{job=~"$job"}\n)', legend: "{{job}}" }, { expr: "up", legend: "" }], links: [] },
      { title: "Read me", kind: "text", queries: [], text: "**Busy**: name\nname: other" },
    ],
  };
  expect(fileName(dashboard)).toBe("nodes.yaml");
  expect(fileOf(dashboard)).toBe(String.raw`# dashboards/nodes.yaml
name: nodes
title: "Nodes: all"
range: "6h"
variables:
  - name: window
    values:
      - "5m"
      - "1h"
panels:
  - title: Busy
    unit: ratio
    width: 2
    max: 0.5
    queries:
      - expr: "sum by (job) (\n  up{job=~\"$job\"}\n)"
        legend: "{{job}}"
      - expr: up
        legend: ""
    links: []
  - title: Read me
    kind: text
    queries: []
    text: "**Busy**: name\nname: other"
`);
});

test("a text stays a text", () => {
  for (const text of ["yes", "Null", "on", "n", "12", "1h", "2026-01-31", "0x1F", "- a", "a: b", "a #b", "#a", "a ", " a", "", "~", "*a", "{a}", "a\tb", 'a"b\\']) {
    expect(toYaml({ text }), text).toBe(`text: ${JSON.stringify(text)}\n`);
  }
  expect(toYaml({ text: "a\u2028b\u0085" })).toBe('text: "a\\u2028b\\u0085"\n');
  for (const text of ["up", "Read me", "a/b.c-d", "now-3h"]) expect(toYaml({ text })).toBe(`text: ${text}\n`);
});

test("lists lie in lists, and what says nothing is left out", () => {
  expect(toYaml({ a: [[1, [true]], [], {}], b: null, c: undefined, d: { e: { f: 1e21 } } })).toBe("a:\n  - - 1\n    - - true\n  - []\n  - {}\nd:\n  e:\n    f: 1e+21\n");
  expect([toYaml({}), toYaml([])]).toEqual(["{}\n", "[]\n"]);
});
