import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Alert, AlertCounts } from "../src/api/types";
import AlertsPage, { foundOf } from "../src/pages/alerts/AlertsPage";
import { navigate } from "../src/router/router";
import { box, mountEach, pass, render } from "./mount";

const alert = (n: number, extra: object = {}): Alert =>
  ({ fingerprint: `f${n}`, rule: "Slow", group: "g", severity: "warning", state: "firing", summary: `slow ${n}`, labels: { alertname: "Slow", host: `web-${n}` }, annotations: {}, value: 1, active_since: "2026-11-23T09:12:00.000Z", fired_at: null, resolved_at: null, suspects: [], expr: "", service: "photos", ...extra }) as unknown as Alert;
const counts = (service: string | null, firing: number): AlertCounts => ({ service, firing, unknown: 0, pending: 0, resolved: 0, worst: "warning" });

let items: Alert[];
let asked: string[];
let refuse: boolean;

mountEach();
beforeEach(() => {
  history.replaceState(null, "", "/alerts");
  [items, asked, refuse] = [Array.from({ length: 10_000 }, (_, n) => alert(n, n === 0 ? { severity: "critical" } : {})), [], false];
  vi.stubGlobal("fetch", vi.fn(async (input: Request | string) => {
    const url = new URL(typeof input === "string" ? input : input.url, "http://localhost");
    if (url.pathname !== "/api/alerts") return Response.json({ items: [] });
    asked.push(url.search);
    if (refuse && url.searchParams.has("service")) return Response.json({ error: { code: "busy", message: "too much at once", advice: "wait" } }, { status: 503 });
    return Response.json({ items: url.searchParams.has("per_service") ? items.slice(0, 20) : items, counts: [counts("photos", 10_000)] });
  }));
});

const settled = (check: () => void): Promise<void> => act(async () => vi.waitFor(check));
const at = async (search: string): Promise<void> => {
  history.replaceState(null, "", `/alerts${search}`);
  await render(<AlertsPage />);
  await settled(() => expect(box.querySelector("li.alert, section p.muted")).not.toBeNull());
};

test("words are looked for in what an alert is called, what it says and its labels", () => {
  const some = [alert(1), alert(2, { summary: "Uploads fail", severity: "critical" }), alert(3, { description: "See the RUNBOOK" })];
  const of = (state: string, q: string): string[] => foundOf(some, state, q).map(({ fingerprint }) => fingerprint);
  expect(of("", "host=WEB-3")).toEqual(["f3"]);
  expect(of("", "uploads slow")).toEqual(["f2"]);
  expect(of("", "runbook")).toEqual(["f3"]);
  expect(of("critical", "")).toEqual(["f2"]);
  expect(of("", "nothing of it")).toEqual([]);
});

test("of ten thousand alerts those are listed that somebody looks for, asked for once", async () => {
  await at("?q=host%3Dweb-777");
  expect([...box.querySelectorAll("li.alert a.strong")].map(({ textContent }) => textContent)).toEqual(["slow 777", ...Array.from({ length: 10 }, (_, n) => `slow 777${n}`)].filter((text) => items.some(({ summary }) => summary === text)));
  expect(box.querySelector("[role=status]")?.textContent).toBe("11 of 10,000 alerts");
  expect(asked).toEqual(["?limit=10000"]);
  await at("?state=critical");
  expect(box.querySelectorAll("li.alert")).toHaveLength(1);
  expect(asked.at(-1)).toBe("?limit=10000&state=firing");
});

test("more than are read are counted, and none is said", async () => {
  await at("?service=photos");
  expect(asked).toEqual(["?limit=10000&service=photos"]);
  expect(box.querySelectorAll("li.alert")).toHaveLength(200);
  expect(box.textContent).toContain("and 9,800 more alerts");
  expect(box.textContent).toContain("Only those of photos.");
  await at("?service=photos&q=nothing");
  expect(box.textContent).toContain("No alert is like that now. Write fewer words");
  items = [];
  await at("?state=pending");
  await settled(() => expect(box.textContent).toContain("No alert is like that now."));
  expect(box.textContent).not.toContain("fewer words");
});

test("what is typed goes into the address, and the list by service makes room", async () => {
  vi.useFakeTimers();
  await render(<AlertsPage />);
  await pass(0);
  expect(asked).toEqual(["?per_service=20"]);
  const input = box.querySelector<HTMLInputElement>("input[type=search]")!;
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(input, "web-42");
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await pass(1_000);
  expect(location.search).toBe("?q=web-42");
  expect(box.textContent).toContain("of 10,000 alerts");
});

test("where all of a service cannot be listed, the page says why", async () => {
  refuse = true;
  await at("");
  await act(async () => [...box.querySelectorAll("button")].find(({ textContent }) => textContent === "and 9,980 more alerts")!.click());
  await settled(() => expect(box.querySelector("[role=alert]")?.textContent).toContain("Too much at once."));
  expect(box.querySelectorAll("li.alert")).toHaveLength(20);
});

test("whoever asks for all of a service by keys goes on with the first that it adds", async () => {
  await at("");
  const more = [...box.querySelectorAll("button")].find(({ textContent }) => textContent === "and 9,980 more alerts")!;
  items = items.slice(0, 40);
  more.focus();
  await act(async () => more.click());
  await settled(() => expect(box.querySelectorAll("li.alert")).toHaveLength(40));
  expect(document.activeElement?.textContent).toBe("slow 20");
});

test("what is found stays until the answer to another question is there, and says that it waits", async () => {
  await at("?service=photos");
  let answer = (): void => undefined;
  const slow = new Promise<void>((done) => { answer = done; });
  const soon = fetch;
  vi.stubGlobal("fetch", vi.fn(async (input: Request | string) => {
    await slow;
    return soon(input);
  }));
  items = items.slice(0, 1);
  await act(async () => navigate("/alerts?state=firing"));
  expect(box.querySelectorAll("li.alert")).toHaveLength(200);
  expect(box.querySelector("[role=status]")?.textContent).toBe("Loading…");
  answer();
  await settled(() => expect(box.querySelectorAll("li.alert")).toHaveLength(1));
  expect(box.querySelector("[role=status]")?.textContent).toBe("1 of 1 alert");
});

test("whoever follows a link to all alerts finds the field for words empty", async () => {
  await at("?q=web-42&state=firing");
  const input = box.querySelector<HTMLInputElement>("input[type=search]")!;
  expect(input.value).toBe("web-42");
  await act(async () => navigate("/alerts"));
  await settled(() => expect(box.textContent).toContain("and 9,980 more alerts"));
  expect(input.value).toBe("");
});

test("each alert says where it is, and its times keep their order behind names of any script", async () => {
  items = [alert(1, { acknowledged_by: "דנה" })];
  await at("?state=firing");
  const row = box.querySelector("li.alert")!;
  expect(row.querySelector("bdi")?.textContent).toBe("host=web-1");
  expect([...row.querySelectorAll("time")].map(({ dir }) => dir)).toEqual(["ltr"]);
});

test("where more are there than are listed of a service they can be searched", async () => {
  await at("");
  const more = [...box.querySelectorAll("button")].find(({ textContent }) => textContent === "and 9,980 more alerts")!;
  items = items.slice(0, 500);
  await act(async () => more.click());
  await settled(() => expect([...box.querySelectorAll("a")].find(({ textContent }) => textContent === "Search in all of photos")?.getAttribute("href")).toBe("/alerts?service=photos"));
});
