import { act, type ReactElement } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Variable } from "../src/api/types";
import { ALL, goesBy, stillChosen, useChoices } from "../src/charts/variables";
import { Variables } from "../src/pages/graphs/Variables";
import { box, mountEach, render } from "./mount";

mountEach();

const RANGE = { fromMs: 0, toMs: 3_600_000, name: null, text: "then" };
const VARIABLES: Variable[] = [{ name: "job", values: ["a", "b", "c"] }, { name: "instance", label: "instance", of: 'up{job="$job"}' }];
const OFFERED: Record<string, string[]> = { 'up{job="a"}': ["a-1", "a-2"], 'up{job="b"}': ["b-1", "both"], 'up{job="c"}': ["c-1", "both"] };

function Page(): ReactElement {
  const [values, choose] = useChoices(VARIABLES);
  return <Variables variables={VARIABLES} values={values} range={RANGE} choose={choose} />;
}

const chosen = (name: string): string | null => new URLSearchParams(location.search).get(`var-${name}`);

async function choose(at: number, value: string): Promise<void> {
  const select = box.querySelectorAll("select")[at]!;
  await act(async () => {
    select.value = value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  });
}

beforeEach(() => {
  history.replaceState(null, "", "/graphs/nodes?var-job=a&var-instance=gone");
  vi.stubGlobal("fetch", vi.fn(async (asked: string) => {
    const of = new URLSearchParams(asked.split("?")[1]).get("match[]") ?? "";
    return new Response(JSON.stringify({ status: "success", data: OFFERED[of] ?? [] }), { headers: { "content-type": "application/json" } });
  }));
});

test("what goes by another choice is chosen anew with it, where it is not on offer any more", async () => {
  await render(<Page />);
  const offers = (value: string): Promise<void> => act(async () => vi.waitFor(() => expect([...box.querySelectorAll("option")].map(({ textContent }) => textContent)).toContain(value)));
  await offers("a-2");
  const asked = new URLSearchParams(String(vi.mocked(fetch).mock.calls[0]?.[0]).split("?")[1]);
  expect([asked.get("start"), asked.get("end")], "of what was there in the range").toEqual(["0", "3600"]);
  expect(chosen("instance"), "a link is opened as it was sent").toBe("gone");
  await choose(0, "b");
  await act(async () => vi.waitFor(() => expect(chosen("instance")).toBe("b-1")));
  await choose(1, "both");
  await choose(0, "c");
  await offers("c-1");
  expect([chosen("job"), chosen("instance")]).toEqual(["c", "both"]);
});

test("what a choice goes by, and what of it stays", () => {
  expect(goesBy({ name: "x", label: "x", of: 'up{a="$a",b=~"${b}"}' }, { a: "1", b: ["2", "3"], c: "4" })).toBe("1\n2\t3");
  expect(goesBy({ name: "x", values: ["1"] }, { a: "1" })).toBe("");
  expect([stillChosen(["a", "b"], ["b", "c"]), stillChosen(["a"], [ALL, "b"]), stillChosen(["a"], [])]).toEqual([["b"], [ALL], []]);
});
