import { act } from "react";
import { beforeEach, expect, test } from "vitest";
import type { Dashboard } from "../src/api/types";
import { DashboardTabs, dashboardsWith, TABS_MAX } from "../src/pages/graphs/DashboardTabs";
import { box, mountEach, render } from "./mount";

const dashboard = (name: string, rest: Partial<Dashboard> = {}): Dashboard => ({ name, title: `The ${name}`, panels: [], ...rest });
const ITEMS = [dashboard("disks", { panels: [{ title: "Queue length", queries: [] }] }), dashboard("mail", { title: "Queue of mail" }), dashboard("web", { service: "shop" })];
const many = [...Array.from({ length: TABS_MAX }, (_, n) => dashboard(`d${n}`)), ...ITEMS];
const tabs = (): (string | null)[] => [...box.querySelectorAll("nav a")].map(({ textContent }) => textContent);

mountEach();
beforeEach(() => history.replaceState(null, "", "/graphs/web?range=6h&edit=1&panel=Up"));

test("dashboards are found by what they are called, then by their panels", () => {
  const found = (text: string): string[] => dashboardsWith(ITEMS, text).map(({ name }) => name);
  expect(found("")).toEqual(["disks", "mail", "web"]);
  expect(found("QUEUE")).toEqual(["mail", "disks"]);
  expect(found("disks length")).toEqual(["disks"]);
  expect(found("shop")).toEqual(["web"]);
  expect(found("nothing")).toEqual([]);
});

test("a few dashboards stand as they are, with the range", async () => {
  await render(<DashboardTabs items={ITEMS} current="web" />);
  expect(tabs()).toEqual(["The disks", "Queue of mail", "The web", "Explore"]);
  expect([...box.querySelectorAll("nav a")].map((link) => link.getAttribute("href"))[0]).toBe("/graphs/disks?range=6h");
  expect(box.querySelector("input")).toBeNull();
});

test("of many those that are searched for, and the one that is shown; Enter opens the first", async () => {
  await render(<DashboardTabs items={many} current="web" />);
  expect([tabs().length, tabs()[0]]).toEqual([TABS_MAX + 2, "The web"]);
  expect(box.querySelector("[role=status]")?.textContent).toBe("15 dashboards; the first 12 stand here");
  const input = box.querySelector("input")!;
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(input, "queue");
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  expect(tabs()).toEqual(["The web", "Queue of mail", "The disks", "Explore"]);
  expect(box.querySelector("[role=status]")?.textContent).toBe("2 of 15 dashboards");
  await act(async () => box.querySelector("form")!.requestSubmit());
  expect(location.pathname + location.search).toBe("/graphs/mail?range=6h");
});
