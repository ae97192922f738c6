import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Panel } from "../src/api/types";
import { PanelRows } from "../src/pages/graphs/PanelRows";
import { addressNames } from "../src/pages/graphs/rows";
import { box, mountEach, render } from "./mount";

// There is no canvas.
vi.mock("../src/charts/Plot", () => ({ Plot: ({ height }: { height: number }) => <i data-height={height} /> }));

const panel = (title: string, rest: Partial<Panel> = {}): Panel => ({ title, queries: [{ expr: "up" }], ...rest });
const RANGE = { fromMs: 0, toMs: 900_000, name: null, text: "" };
const PANELS = [panel("Up"), panel("Up", { row: "Hosts" }), panel("Words", { kind: "text", text: "Look.", queries: [] })];
const shown = (): Promise<void> => render(<PanelRows dashboard={{ name: "d", title: "D", panels: PANELS, folded: [] }} variables={[]} values={{}} range={RANGE} markers={[]} />);
const links = (): (string | null)[] => [...box.querySelectorAll("a")].map((link) => link.getAttribute("aria-label") ?? link.textContent);
const heights = (): (string | null)[] => [...box.querySelectorAll("[data-height]")].map((plot) => plot.getAttribute("data-height"));

mountEach();
beforeEach(() => {
  history.replaceState(null, "", "/graphs/d?var-job=web");
  vi.stubGlobal("fetch", vi.fn(async () => new Response(JSON.stringify({ data: { result: [] } }), { headers: { "content-type": "application/json" } })));
});

test("an address calls panels by their titles, and the second of a title by its number", () => {
  expect(addressNames(PANELS)).toEqual(["Up", "Up (2)", "Words"]);
  expect(addressNames(["Up", "Up", "Up (2)", "Up"].map((title) => panel(title)))).toEqual(["Up", "Up (2)", "Up (2) (2)", "Up (3)"]);
});

test("a panel is shown alone at its own address, and the way back keeps the choices", async () => {
  await shown();
  expect(links()).toEqual(["enlarge Up", "explore Up", "enlarge Up", "explore Up"]);
  expect(heights()).toEqual(["150", "150"]);
  await act(async () => [...box.querySelectorAll("a")][2]!.click());
  expect(new URLSearchParams(location.search).getAll("panel")).toEqual(["Up (2)"]);
  expect(location.search).toContain("var-job=web");
  expect([links(), heights()]).toEqual([["All panels", "explore Up"], ["420"]]);
  expect(box.querySelector("a")?.getAttribute("href")).toBe("/graphs/d?var-job=web");
});

test("an address of a panel that is gone says so, with all the others", async () => {
  history.replaceState(null, "", "/graphs/d?panel=Old");
  await shown();
  expect(box.textContent).toContain("No panel is called Old any more. All panels");
  expect(heights()).toHaveLength(2);
});
