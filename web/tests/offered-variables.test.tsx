import { act, useMemo, type ReactElement } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Variable } from "../src/api/types";
import { chartOptions, type Wanted } from "../src/charts/options";
import { fill, useChoices, useOffered, withOffered } from "../src/charts/variables";
import { Variables } from "../src/pages/graphs/Variables";
import { box, mountEach, render } from "./mount";

mountEach();

const RANGE = { fromMs: 0, toMs: 3_600_000, name: null, text: "then" };
const VARIABLES: Variable[] = [{ name: "node", query: "uname", regex: 'instance="(?<value>[^"]+)".*name="(?<text>[^"]+)"', all: true }];

function Page(): ReactElement {
  const [chosen, choose] = useChoices(VARIABLES);
  const [offered, offer] = useOffered();
  const values = useMemo(() => withOffered(chosen, VARIABLES, offered), [chosen, offered]);
  return <><Variables variables={VARIABLES} values={values} range={RANGE} choose={choose} offer={offer} /><output>{fill('up{instance=~"$node"}', values, RANGE)}</output></>;
}

beforeEach(() => {
  history.replaceState(null, "", "/graphs/nodes");
  const result = [["10.0.0.1:9100", "web"], ["10.0.0.2:9100", "db"]].map(([instance, name]) => ({ metric: { __name__: "uname", instance, name }, value: [1, "1"] }));
  vi.stubGlobal("fetch", vi.fn(async () => Response.json({ status: "success", data: { resultType: "vector", result } })));
});

test("all of a filtered query is what it offers, under the names that it gives", async () => {
  await render(<Page />);
  await act(async () => vi.waitFor(() => expect(box.querySelector("output")!.textContent).toBe('up{instance=~"(10\\\\.0\\\\.0\\\\.1:9100|10\\\\.0\\\\.0\\\\.2:9100)"}')));
  expect([...box.querySelectorAll("option")].map(({ value, textContent }) => [value, textContent])).toEqual([["$all", "all"], ["10.0.0.1:9100", "web"], ["10.0.0.2:9100", "db"]]);
});

test("an axis of dates begins where they do", () => {
  const { scales } = chartOptions({ lines: [], unit: "date", theme: "light", ink: {} as Wanted["ink"], width: 100, height: 100, sync: undefined, onZoom: undefined, hooks: {} });
  const range = scales!.y!.range as (u: unknown, low: number, high: number) => [number, number];
  expect(range(null, 1_790_000_000, 1_790_000_600)).toEqual([1_789_999_940, 1_790_000_660]);
});
