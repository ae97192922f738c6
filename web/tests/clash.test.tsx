import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Dashboard, Panel } from "../src/api/types";
import type { Range } from "../src/charts/range";
import { differences } from "../src/pages/graphs/differences";
import { Editing } from "../src/pages/graphs/Editing";
import { box, mountEach, render } from "./mount";

const panel = (title: string, expr = "up"): Panel => ({ title, queries: [{ expr }] });
const of = (title: string, ...panels: Panel[]): Dashboard => ({ name: "nodes", title, panels });

test("what somebody changed is told by panel", () => {
  const before = of("Nodes", panel("Busy"), panel("Memory"), panel("Disks"), panel("Disks"));
  const after = of("All nodes", panel("Load"), panel("Memory", "sum(up)"), panel("Disks"), panel("Disks", "down"));
  expect(differences(before, after)).toEqual(["The title is now All nodes", "Added: Load", "Removed: Busy", "Changed: Memory, Disks (2)"]);
  expect(differences(before, { ...before, panels: [before.panels[1]!, before.panels[0]!, ...before.panels.slice(2)] })).toEqual(["The order of the panels is changed"]);
  expect(differences(before, { ...before, variables: [{ name: "job", label: "job" }] })).toEqual(["The variables are changed"]);
  expect(differences(before, { ...before })).toEqual([]);
});

const RANGE: Range = { fromMs: 0, toMs: 300_000, name: null, text: "then" };
const FIRST: Dashboard = { ...of("Nodes"), version: 1, saved_by: "mei", saved_at: "2026-11-26T12:00:00Z" };
const SECOND: Dashboard = { ...of("All nodes"), version: 2, saved_by: "raj", saved_at: "2026-11-26T12:05:00Z" };

let writes: { method: string; match: string | null; none: string | null; body: unknown }[];
let refuse: boolean;
const done = vi.fn();

mountEach();
beforeEach(() => {
  [writes, refuse] = [[], false];
  done.mockReset();
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    if (typeof request === "string" || request.method === "GET") return Response.json({ items: [] });
    const { method, headers } = request;
    const body: unknown = method === "PUT" ? await request.json() : null;
    writes.push({ method, match: headers.get("if-match"), none: headers.get("if-none-match"), body });
    return refuse ? Response.json({ error: { code: "changed", message: "saved by raj", advice: "" } }, { status: 412 }) : Response.json(SECOND);
  }));
});

const show = (dashboard: Dashboard, gone = false): Promise<void> =>
  render(<Editing dashboard={dashboard} gone={gone} fresh={false} range={RANGE} values={{}} onDone={done} />);
const button = (name: string): HTMLButtonElement => [...box.querySelectorAll("button")].find(({ textContent }) => textContent === name)!;
const press = (name: string): Promise<void> => act(async () => button(name).click());
const alert = (): string | undefined => box.querySelector("[role=alert]")?.textContent;

test("a save names the version that was edited, and so does a deletion", async () => {
  await show(FIRST);
  expect(alert()).toBeUndefined();
  await press("Save");
  await press("Delete the dashboard");
  expect(writes.map(({ method, match }) => [method, match])).toEqual([["PUT", '"1"'], ["DELETE", '"1"']]);
  expect(writes[0]!.body).toEqual(of("Nodes"));
  expect(done).toHaveBeenCalledTimes(2);
});

test("somebody else's save is told, and one's own goes over it knowingly", async () => {
  await show(FIRST);
  await show(SECOND);
  expect(alert()).toContain("raj saved this dashboard");
  expect(alert()).toContain("The title is now All nodes.");
  expect(box.querySelector("[role=alert] a")!.getAttribute("href")).toBe("/graphs/nodes");
  await press("Save");
  expect(writes).toEqual([]);
  await press("Save mine over it");
  expect(writes).toEqual([{ method: "PUT", match: '"2"', none: null, body: of("Nodes") }]);
});

test("a save that is refused keeps the edit", async () => {
  refuse = true;
  await show(FIRST);
  await press("Save");
  expect(done).not.toHaveBeenCalled();
  await show(SECOND);
  expect(alert()).toContain("raj saved");
});

test("one's own can be dropped for theirs", async () => {
  await show(FIRST);
  await show(SECOND);
  await press("Drop mine");
  expect(alert()).toBeUndefined();
  expect([...box.querySelectorAll("input")].map(({ value }) => value)).toContain("All nodes");
  await press("Save");
  expect(writes[0]!.match).toBe('"2"');
});

test("what was deleted is saved anew, or left", async () => {
  await show(FIRST);
  await show(FIRST, true);
  expect(alert()).toContain("Somebody deleted this dashboard");
  await press("Save mine anew");
  expect(writes).toEqual([{ method: "PUT", match: null, none: "*", body: of("Nodes") }]);
});

test("a copy is saved under another name, whatever became of the first", async () => {
  await show({ ...FIRST, service: "photos" });
  await press("Make a copy");
  // The button is gone: whoever pressed it by keys is at the name.
  expect(document.activeElement).toBe(box.querySelector("input"));
  await show(SECOND);
  expect(alert()).toBeUndefined();
  expect(button("Make a copy")).toBeUndefined();
  await press("Save");
  expect(writes).toEqual([{ method: "PUT", match: null, none: "*", body: { ...of("Nodes (copy)"), name: "nodes-copy", service: "photos" } }]);
});

test("a copy of a page that draws itself leaves the service to it", async () => {
  await show({ ...of("Photos"), generated: true, service: "photos" });
  await press("Make a copy");
  await press("Save");
  expect(writes[0]!.body).toEqual({ ...of("Photos (copy)"), name: "nodes-copy", service: null });
});

test("a panel is duplicated behind itself", async () => {
  const words = (title: string): Panel => ({ title, kind: "text", queries: [], text: "words" });
  await show(of("Nodes", words("Busy"), words("Disks")));
  await act(async () => box.querySelector<HTMLButtonElement>("[aria-label='Duplicate Busy']")!.click());
  await press("Save");
  expect((writes[0]!.body as Dashboard).panels.map(({ title }) => title)).toEqual(["Busy", "Busy", "Disks"]);
});
