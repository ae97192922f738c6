import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Alert, Service } from "../src/api/types";
import { useNow } from "../src/lib/clock";
import AlertPage from "../src/pages/alerts/AlertPage";
import { ServicePage } from "../src/pages/deploys/ServicePage";
import { SessionContext, type SignedIn } from "../src/shell/session";
import { box, mountEach, reload, render } from "./mount";

// There is no canvas.
vi.mock("../src/charts/Plot", () => ({ Plot: () => null }));

const NOW = Date.parse("2026-11-28T03:00:00Z");
const SESSION = { person: { login: "ana", name: "Ana", kind: "developer", timezone: "UTC", role: "responder", grants: [], contact: {} }, demo: false, version: "1" } as unknown as SignedIn;
const ALERT = {
  fingerprint: "f", rule: "Slow", group: "g", severity: "critical", state: "firing", summary: "Uploads are slow", labels: { alertname: "Slow", "http.route": "/a" }, annotations: {}, value: 1,
  active_since: "2026-11-28T00:30:00Z", fired_at: null, resolved_at: null, suspects: [], expr: "slow > 1", graph: { expr: "slow", threshold: 1 }, incident: null, check: null, service: "photos",
} as unknown as Alert;
const SERVICE = { name: "photos", description: "", repository: "r", branch: "main", pipeline_path: "p", environments: [], dependencies: [] } as unknown as Service;

let alert: Alert;
let refuse: boolean;
mountEach();
beforeEach(() => {
  [alert, refuse] = [ALERT, false];
  vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
  history.replaceState(null, "", "/alerts/f");
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    const { pathname } = new URL(typeof request === "string" ? request : request.url, "http://localhost");
    if (pathname === "/api/alerts/f") return Response.json(alert);
    if (pathname === "/api/services") return Response.json({ items: [SERVICE] });
    if (pathname === "/api/alerts" && refuse) return Response.json({ error: { code: "busy", message: "too much at once", advice: "" } }, { status: 503 });
    if (pathname === "/api/v1/query_range") return Response.json({ status: "success", data: { resultType: "matrix", result: [] } });
    if (pathname.endsWith("/why")) return Response.json({ decided: [] });
    return Response.json({ items: [], counts: [] });
  }));
});

const settled = (check: () => void): Promise<void> => act(async () => vi.waitFor(check));
const show = async (): Promise<void> => {
  await render(<SessionContext value={SESSION}><AlertPage params={{ fingerprint: "f" }} /></SessionContext>);
  await settled(() => expect(box.querySelector("a[aria-label='explore Slow']")).not.toBeNull());
};
const explored = (): URLSearchParams => new URL(box.querySelector("a[aria-label='explore Slow']")!.getAttribute("href")!, "http://localhost").searchParams;

test("the graph of an alert shows its beginning, unless the address says otherwise, and leads to Explore with it", async () => {
  await show();
  expect([explored().get("expr"), explored().get("range")]).toEqual(["slow", "6h"]);
  alert = { ...ALERT, state: "resolved", active_since: "2026-11-27T00:00:00Z", resolved_at: "2026-11-27T02:00:00Z" };
  await reload();
  await show();
  expect([Number(explored().get("from")), Number(explored().get("to"))]).toEqual([Date.parse("2026-11-26T23:00:00Z"), Date.parse("2026-11-27T03:00:00Z")]);
  history.replaceState(null, "", "/alerts/f?range=5m");
  await reload();
  await show();
  expect(explored().get("range")).toBe("5m");
});

test("an alert whose labels are no plain words can be muted from its page", async () => {
  await show();
  await act(async () => [...box.querySelectorAll("button")].find(({ textContent }) => textContent === "Mute…")!.click());
  expect(document.querySelector<HTMLInputElement>("[role=dialog] input.mono")!.value).toBe('alertname="Slow", "http.route"="/a"');
});

test("where it is not known what fires of a service, its page does not look as if nothing did", async () => {
  refuse = true;
  await render(<SessionContext value={SESSION}><ServicePage name="photos" /></SessionContext>);
  await settled(() => expect(box.querySelector("[role=alert]")?.textContent).toContain("Too much at once."));
  expect([...box.querySelectorAll("a")].find(({ textContent }) => textContent === "Alerts")!.getAttribute("href")).toBe("/alerts?service=photos");
});

test("a clock that nobody looked at does not begin with the time of then", async () => {
  let seen = 0;
  function Clock(): null {
    seen = useNow(1_000);
    return null;
  }
  await render(<Clock />);
  await reload();
  vi.setSystemTime(NOW + 3_600_000);
  await render(<Clock />);
  expect(seen).toBe(NOW + 3_600_000);
});
