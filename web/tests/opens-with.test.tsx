import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Dashboard } from "../src/api/types";
import type { Range } from "../src/charts/range";
import { Editing } from "../src/pages/graphs/Editing";
import { box, mountEach, render } from "./mount";

const NODES: Dashboard = { name: "nodes", title: "Nodes", panels: [], version: 1 };
const RANGE: Range = { fromMs: 0, toMs: 5_400_000, name: "90m", text: "last 90 min" };
let saved: Dashboard[];

mountEach();
beforeEach(() => {
  saved = [];
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    if (typeof request === "string" || request.method === "GET") return Response.json({ items: [] });
    saved.push((await request.json()) as Dashboard);
    return Response.json(NODES);
  }));
});

const show = (dashboard: Dashboard): Promise<void> => render(<Editing dashboard={dashboard} fresh={false} range={RANGE} values={{}} onDone={() => undefined} />);
function field(label: string): HTMLInputElement | HTMLSelectElement | null {
  const found = [...box.querySelectorAll("label")].find(({ textContent }) => textContent === label);
  return found ? (document.getElementById(found.htmlFor) as HTMLInputElement | HTMLSelectElement) : null;
}
const put = (label: string, value: string): Promise<void> => act(async () => {
  const control = field(label)!;
  const select = control.tagName === "SELECT";
  if (select) control.value = value;
  else Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(control, value);
  control.dispatchEvent(new Event(select ? "change" : "input", { bubbles: true }));
});
const save = (): Promise<void> => act(async () => [...box.querySelectorAll("button")].find(({ textContent }) => textContent === "Save")!.click());
const offered = (): string[] => [...(field("Opens with") as HTMLSelectElement).options].map(({ text }) => text);

test("a dashboard opens with any length: what it has, what is shown now, or what is typed", async () => {
  await show({ ...NODES, range: "36h" });
  expect(field("Opens with")!.value).toBe("36h");
  expect(offered()).toEqual(["as pages do", "the last 5 min", "the last 15 min", "the last 1 h", "the last 90 min", "the last 6 h", "the last 24 h", "the last 36 h", "the last 7 d", "the last 30 d", "another length…"]);
  await put("Opens with", "90m");
  await save();
  expect(field("The last")).toBeNull();
  await put("Opens with", "other");
  await put("The last", "now-2");
  expect(box.textContent).toContain("is no length");
  await save();
  await put("The last", "now-2d");
  await save();
  expect(saved.map(({ range }) => range)).toEqual(["90m", "2d"]);
});
