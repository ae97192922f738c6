import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Dashboard, Panel } from "../src/api/types";
import { AddToDashboard, panelOf } from "../src/pages/graphs/AddToDashboard";
import { nameAfter } from "../src/pages/graphs/written";
import { mountEach, render } from "./mount";

const SHOWN: Panel = { title: "rate(a[5m])", unit: "ops", kind: "graph", queries: [{ expr: "rate(a[5m])" }], stacked: false, log: true, exemplars: true };
const UP: Panel = { title: "Up", queries: [{ expr: "up" }] };
const NODES: Dashboard = { name: "nodes", title: "Nodes", service: "photos", panels: [UP], version: 3, saved_by: "mei", saved_at: "2026-11-26T12:00:00Z" };
const DRAWN: Dashboard = { name: "hosts", title: "Hosts", panels: [], generated: true };

let items: Dashboard[];
let refuse: number | null;
let writes: { path: string; match: string | null; none: string | null; body: Dashboard }[];

mountEach();
beforeEach(() => {
  history.replaceState(null, "", "/graphs/explore?expr=up&range=6h");
  [items, refuse, writes] = [[NODES, DRAWN], null, []];
  vi.stubGlobal("fetch", vi.fn(async (request: Request) => {
    if (request.method === "GET") return Response.json({ items });
    const body = (await request.json()) as Dashboard;
    writes.push({ path: new URL(request.url, "http://localhost").pathname, match: request.headers.get("if-match"), none: request.headers.get("if-none-match"), body });
    if (refuse !== null) return Response.json({ error: { code: "changed", message: "saved by raj", advice: "" } }, { status: refuse });
    return Response.json({ ...body, version: 4 });
  }));
});

const settled = (check: () => void): Promise<void> => act(async () => vi.waitFor(check));
const said = (): string => document.body.textContent ?? "";
const button = (text: string): HTMLButtonElement => [...document.querySelectorAll("button")].find((one) => one.textContent === text)!;
const press = (text: string): Promise<void> => act(async () => button(text).click());
function field(label: string): HTMLInputElement | HTMLSelectElement {
  const found = [...document.querySelectorAll("label")].find(({ textContent }) => textContent === label)!;
  return document.getElementById(found.htmlFor) as HTMLInputElement | HTMLSelectElement;
}
function put(label: string, value: string): Promise<void> {
  const control = field(label);
  const select = control.tagName === "SELECT";
  return act(async () => {
    if (select) control.value = value;
    else Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(control, value);
    control.dispatchEvent(new Event(select ? "change" : "input", { bubbles: true }));
  });
}
async function open(shown = SHOWN): Promise<void> {
  await render(<AddToDashboard shown={shown} />);
  await press("Add to a dashboard");
  await settled(() => expect(said()).toContain("Title of the panel"));
}
/** It is added, and a link leads there. */
const leads = (to: string): Promise<void> => settled(() => expect(document.querySelector("[role=status] a")?.getAttribute("href")).toBe(to));

test("a panel has what its kind can draw", () => {
  const plain = { title: "T", unit: "ops", queries: SHOWN.queries };
  expect(panelOf(SHOWN, "T", "graph")).toEqual({ ...plain, kind: "graph", log: true, exemplars: true });
  expect(panelOf(SHOWN, "T", "heatmap")).toEqual({ ...plain, kind: "heatmap", exemplars: true });
  expect(panelOf({ ...SHOWN, stacked: true, log: false }, "T", "table")).toEqual({ ...plain, kind: "table" });
});

test("a name is made of a title", () => {
  expect([" Web: Errors ", "Ärger.1", "日本", "-".repeat(9)].map(nameAfter)).toEqual(["web-errors", "arger.1", "", ""]);
});

test("it goes behind the panels of one that somebody wrote, over the version that is known", async () => {
  await open();
  expect([...(field("Dashboard") as HTMLSelectElement).options].map(({ textContent }) => textContent)).toEqual(["a new one", "Nodes"]);
  await put("Dashboard", "nodes");
  await put("Title of the panel", "Errors");
  await put("Drawn as", "table");
  await press("Add");
  await leads("/graphs/nodes?range=6h");
  const panel = { title: "Errors", unit: "ops", kind: "table", queries: SHOWN.queries };
  expect(writes).toEqual([{ path: "/api/dashboards/nodes", match: '"3"', none: null, body: { name: "nodes", title: "Nodes", service: "photos", panels: [UP, panel] } }]);
  expect(document.querySelector("[role=status]")?.textContent).toBe("The panel Errors is the last one of Nodes.");
});

test("a new one has a title, and a name that nobody has", async () => {
  await open({ ...SHOWN, kind: "heatmap" });
  expect((field("Drawn as") as HTMLSelectElement).value).toBe("heatmap");
  await press("Add");
  await put("Title of the dashboard", "Hosts");
  expect(said()).toContain("Hosts is named hosts: choose another title.");
  await press("Add");
  expect(writes).toEqual([]);
  await put("Title of the dashboard", "Web errors");
  expect(said()).toContain("its name is web-errors");
  await press("Add");
  await leads("/graphs/web-errors?range=6h");
  const panel = { title: "rate(a[5m])", unit: "ops", kind: "heatmap", queries: SHOWN.queries, exemplars: true };
  expect(writes).toEqual([{ path: "/api/dashboards/web-errors", match: null, none: "*", body: { name: "web-errors", title: "Web errors", panels: [panel] } }]);
});

test("what somebody saved meanwhile is kept, and the panel goes behind it", async () => {
  await open();
  await put("Dashboard", "nodes");
  refuse = 412;
  items = [{ ...NODES, panels: [UP, UP], version: 5, saved_by: "raj" }];
  await press("Add");
  await settled(() => expect(document.querySelector("[role=alert]")?.textContent).toContain("raj saved this dashboard"));
  expect(document.querySelector("[role=alert]")?.textContent).toContain("Add it again");
  refuse = null;
  await press("Add");
  await leads("/graphs/nodes?range=6h");
  expect(writes.map(({ match, body }) => [match, body.panels.length])).toEqual([['"3"', 2], ['"5"', 3]]);
});

test("what was deleted or made meanwhile is told, and nothing is lost", async () => {
  await open();
  await put("Dashboard", "nodes");
  await put("Title of the panel", "Errors");
  refuse = 412;
  items = [];
  await press("Add");
  await settled(() => expect(document.querySelector("[role=alert]")?.textContent).toContain("deleted this dashboard"));
  expect(button("Add").getAttribute("aria-disabled")).toBe("true");
  await put("Dashboard", "");
  await put("Title of the dashboard", "Web");
  refuse = 409;
  items = [{ ...NODES, name: "web", title: "Web" }];
  await press("Add");
  await settled(() => expect(document.querySelector("[role=alert]")?.textContent).toContain("made a dashboard of this name"));
  await settled(() => expect(said()).toContain("Web is named web: choose it, or another title."));
  refuse = null;
  await put("Dashboard", "web");
  await press("Add");
  await leads("/graphs/web?range=6h");
  expect(writes.at(-1)?.body.panels.map(({ title }) => title)).toEqual(["Up", "Errors"]);
});
