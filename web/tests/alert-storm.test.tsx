import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Alert, AlertCounts } from "../src/api/types";
import { touch } from "../src/api/useQuery";
import AlertsPage from "../src/pages/alerts/AlertsPage";
import { byService, LISTED } from "../src/parts/alertGroups";
import { box, mountEach, pass, render } from "./mount";

const alert = (n: number, extra: object = {}): Alert =>
  ({ fingerprint: `f${n}`, rule: "Slow", group: "g", severity: "warning", state: "firing", summary: `slow ${n}`, labels: {}, annotations: {}, value: 1, active_since: "2026-11-23T09:12:00.000Z", fired_at: "2026-11-23T09:12:00.000Z", resolved_at: null, suspects: [], expr: "slow > 1", graph: { expr: "slow", threshold: 1 }, service: "photos", ...extra }) as unknown as Alert;
const counts = (service: string | null, firing: number): AlertCounts => ({ service, firing, unknown: 0, pending: 0, resolved: 0, worst: "warning" });

/** Which elements the browser says are on the screen. */
let watched: { callback: IntersectionObserverCallback; element: Element }[];
let asked: string[];

mountEach();
beforeEach(() => {
  watched = [];
  asked = [];
  vi.stubGlobal("IntersectionObserver", class {
    constructor(private readonly callback: IntersectionObserverCallback) {}
    observe(element: Element): void {
      watched.push({ callback: this.callback, element });
    }
    disconnect(): void {}
  });
  vi.stubGlobal("fetch", vi.fn(async (input: Request | string) => {
    const url = new URL(typeof input === "string" ? input : input.url, "http://localhost");
    asked.push(url.pathname + url.search);
    const one = url.searchParams.get("service") !== null;
    const items = Array.from({ length: one ? 45 : LISTED }, (_, n) => alert(n));
    const body = url.pathname === "/api/alerts" ? { items, counts: [counts("photos", 45)] } : url.pathname === "/api/alerts/refused" ? { items: [] } : { status: "success", data: { resultType: "matrix", result: [] } };
    return new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });
  }));
});

const settle = async (): Promise<void> => {
  await act(async () => vi.waitFor(() => expect(box.querySelector("li.alert")).not.toBeNull()));
};

test("a group says how many it has, and lists the others when it is asked to", async () => {
  await render(<AlertsPage />);
  await settle();
  expect(asked.filter((url) => url.startsWith("/api/alerts?"))).toEqual([`/api/alerts?per_service=${LISTED}`]);
  expect(box.querySelectorAll("li.alert")).toHaveLength(LISTED);
  expect(box.textContent).toContain("Warning, 45 alerts");
  const button = [...box.querySelectorAll("button")].find((one) => one.textContent === "and 25 more alerts")!;
  await act(async () => button.click());
  await act(async () => vi.waitFor(() => expect(box.querySelectorAll("li.alert")).toHaveLength(45)));
  expect(box.textContent).not.toContain("more alerts");
});

test("a line is drawn for what is on the screen, and for nothing else", async () => {
  await render(<AlertsPage />);
  await settle();
  const queries = (): string[] => asked.filter((url) => url.includes("query_range"));
  expect(watched).toHaveLength(LISTED);
  expect(queries()).toEqual([]);
  await act(async () => watched[0]!.callback([{ isIntersecting: true } as IntersectionObserverEntry], {} as IntersectionObserver));
  await act(async () => vi.waitFor(() => expect(queries().length).toBeGreaterThan(0)));
});

test("a service that is only counted has its group, and one without alerts has none", () => {
  const groups = byService([alert(1), alert(2, { severity: "critical" }), alert(3, { service: undefined })], [counts(null, 1), counts("photos", 45), counts("web", 3), counts("calm", 0)]);
  expect(groups.map(({ name, items, total }) => [name, items.length, total])).toEqual([["no service", 1, 1], ["photos", 2, 45], ["web", 0, 3]]);
  expect(groups[1]!.items[0]!.severity).toBe("critical");
});

test("however many events come, the page asks once a second", async () => {
  vi.useFakeTimers();
  await render(<AlertsPage />);
  await pass(0);
  const lists = (): number => asked.filter((url) => url.startsWith("/api/alerts?")).length;
  expect(lists()).toBe(1);
  await pass(5_000);
  for (let event = 0; event < 1_000; event++) {
    await act(async () => touch("alert.fired"));
    if (event % 10 === 0) await pass(100);
  }
  // Ten seconds of events: the first is heard at once, the others once a second.
  expect(lists()).toBeGreaterThanOrEqual(9);
  expect(lists()).toBeLessThanOrEqual(1 + 11);
});
