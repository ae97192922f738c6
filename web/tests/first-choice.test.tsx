import { act, type ReactElement } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Variable } from "../src/api/types";
import { ALL, openingWith, overview, useChoices, type Values } from "../src/charts/variables";
import { withVariable } from "../src/pages/graphs/VariableForm";
import { Variables } from "../src/pages/graphs/Variables";
import { box, mountEach, render } from "./mount";

mountEach();

const RANGE = { fromMs: 0, toMs: 3_600_000, name: null, text: "then" };
const VARIABLES: Variable[] = [
  { name: "window", values: ["1m", "5m"], first: ["5m"] },
  { name: "host", label: "instance", of: "up", all: true, first: ["h2"] },
  { name: "disk", label: "device", of: "io", multi: true, first: ["sda", "gone"] },
  { name: "job", label: "job", of: "up", first: ["moved"] },
];
const OFFERED: Record<string, string[]> = { instance: ["h1", "h2"], device: ["sda", "sdb"], job: ["node", "web"] };
let seen: Values = {};

function Page(): ReactElement {
  const [values, choose] = useChoices(VARIABLES);
  seen = values;
  return <Variables variables={VARIABLES} values={values} range={RANGE} choose={choose} />;
}

beforeEach(() => {
  seen = {};
  vi.stubGlobal("fetch", vi.fn(async (asked: string) => {
    const [, label = ""] = /label\/(\w+)\/values/.exec(asked) ?? [];
    return new Response(JSON.stringify({ status: "success", data: OFFERED[label] ?? [] }), { headers: { "content-type": "application/json" } });
  }));
});

test("a dashboard opens with what it says, as far as that is still there", async () => {
  history.replaceState(null, "", "/graphs/nodes");
  await render(<Page />);
  await act(async () => vi.waitFor(() => expect(seen).toEqual({ window: "5m", host: "h2", disk: ["sda"], job: "node" })));
  expect([...box.querySelectorAll("select")].map(({ value }) => value)).toEqual(["5m", "h2", "node"]);
});

test("what the address says goes before it, gone or not", async () => {
  history.replaceState(null, "", "/graphs/nodes?var-window=1m&var-host=old&var-disk=sdb&var-job=web");
  await render(<Page />);
  await act(async () => vi.waitFor(() => expect(box.textContent).toMatch(/h1.*node/)));
  expect(seen).toEqual({ window: "1m", host: "old", disk: ["sdb"], job: "web" });
});

test("small graphs elsewhere go by lists alone", () => {
  expect(overview(VARIABLES)).toEqual({ window: "5m", host: ALL, disk: ALL, job: ALL });
});

test("what is chosen now becomes what it opens with", () => {
  const filters: Variable = { name: "Filters", filters: true, values: ['a="1"'] };
  const before: Variable[] = [...VARIABLES, { name: "text", free: true, values: ["old"] }, filters];
  const after = openingWith(before, { window: "1m", host: ALL, disk: ["sdb", "sda"], job: "web", text: "new" });
  expect(after.map(({ first }) => first)).toEqual([["1m"], undefined, ["sdb", "sda"], ["web"], undefined, undefined]);
  expect(after[4]).toEqual({ name: "text", free: true, values: ["new"] });
  expect(after[5]).toBe(filters);
  expect(openingWith([{ name: "w", values: ["1m"] }], { w: "no longer" })).toEqual([{ name: "w", values: ["1m"] }]);
});

test("a variable that is changed keeps what it opens with while its values are the same", () => {
  const [listed] = VARIABLES;
  expect(withVariable([listed!], { name: "window", values: ["1m", "5m"], multi: true })[0]?.first).toEqual(["5m"]);
  expect(withVariable([listed!], { name: "window", values: ["1m", "1h"] })[0]?.first).toBeUndefined();
});
