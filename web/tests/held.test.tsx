import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Incident, Person } from "../src/api/types";
import { ApiError, unreachable } from "../src/api/http";
import { useQuery } from "../src/api/useQuery";
import RulesPage from "../src/pages/alerts/RulesPage";
import { PagedBanner } from "../src/shell/PagedBanner";
import { SessionContext } from "../src/shell/session";
import { DeleteButton } from "../src/ui/DeleteButton";
import { box, mountEach, pass, render } from "./mount";

const rule = (name: string): object => ({ name, kind: "alerting", expr: "up == 0", for_ms: 0, labels: {}, annotations: {}, state: "firing", health: "ok", alerts: [{ fingerprint: "f", labels: { host: "a" } }], alerts_total: 40, findings: [] });
const incident = { number: 3, state: "open", title: "Uploads are slow", pages: [{ person: "ana", state: "delivered", due_at: "2026-11-28T02:59:30Z" }] } as unknown as Incident;

let slow: Promise<void>;
let refuse: boolean;

mountEach();
beforeEach(() => {
  history.replaceState(null, "", "/alerts/rules");
  [slow, refuse] = [Promise.resolve(), false];
  vi.stubGlobal("fetch", vi.fn(async (request: Request) => {
    const url = new URL(request.url);
    if (url.pathname === "/api/now") return Response.json({ incidents: [incident] });
    await slow;
    if (refuse) return Response.json({ error: { code: "busy", message: "too much", advice: "" } }, { status: 503 });
    const many = Number(url.searchParams.get("limit")) > 500;
    return Response.json({ items: [{ name: "g", file: "f", interval_ms: 1_000, rules: [rule("First"), ...(many ? [rule("Second")] : [])] }], counts: { firing: 2, unknown: 0, pending: 0, inactive: 0, error: 0 }, next: many ? null : 1 });
  }));
});

const settled = (check: () => void): Promise<void> => act(async () => vi.waitFor(check));
const button = (text: string): HTMLElement | undefined => [...box.querySelectorAll("button")].find(({ textContent }) => textContent === text);
const said = (): string => box.querySelector("p[role=status]")?.textContent ?? "";

test("a list stays while more of it is asked for, and says so", async () => {
  await render(<RulesPage />);
  await settled(() => expect(box.textContent).toContain("First"));
  let answer = (): void => undefined;
  slow = new Promise((done) => { answer = done; });
  await act(async () => button("Show more rules")!.click());
  expect([box.textContent?.includes("First"), said()]).toEqual([true, "Loading…"]);
  answer();
  await settled(() => expect(box.textContent).toContain("Second"));
  expect(said()).toBe("2 firing");
});

test("the alerts of a rule that are not named can be looked for", async () => {
  await render(<RulesPage />);
  await settled(() => expect(box.textContent).toContain("First"));
  expect([...box.querySelectorAll("a")].find(({ textContent }) => textContent === "and 30 more")?.getAttribute("href")).toBe("/alerts?q=First");
});

test("where more is refused nothing old stands for it", async () => {
  await render(<RulesPage />);
  await settled(() => expect(box.textContent).toContain("First"));
  refuse = true;
  await act(async () => button("Show more rules")!.click());
  await settled(() => expect(box.querySelector("[role=alert]")?.textContent).toContain("Too much."));
  expect(box.textContent).not.toContain("First");
});

test("the keyboard stays where something is deleted, on the side that deletes nothing", async () => {
  const gone = vi.fn();
  await render(<DeleteButton what="photos-primary" onDelete={gone} />);
  expect(document.activeElement).toBe(document.body);
  const press = (text: string): Promise<void> => act(async () => { button(text)!.focus(); button(text)!.click(); });
  await press("Delete…");
  expect(document.activeElement).toBe(button("Keep it"));
  await press("Keep it");
  expect(document.activeElement).toBe(button("Delete…"));
  expect(gone).not.toHaveBeenCalled();
});

test("that somebody is paged is read out once, not with each minute that goes by", async () => {
  vi.useFakeTimers({ now: Date.parse("2026-11-28T03:00:00Z") });
  const person = { login: "ana", name: "Ana", kind: "developer", timezone: "UTC", role: "responder", grants: [], contact: {} } as unknown as Person;
  await render(<SessionContext value={{ person, demo: false, version: "1" }}><PagedBanner /></SessionContext>);
  await pass(0);
  const alert = box.querySelector("[role=alert]")!;
  expect(alert.textContent).toContain("You are paged");
  const before = alert.textContent;
  await pass(120_000);
  expect(alert.textContent).toBe(before);
});

test("what nothing else would ask again is asked again when the server was away, and not when it refused", async () => {
  vi.useFakeTimers();
  const answers = [unreachable(), new ApiError(503, "busy", "Busy.", ""), new ApiError(400, "bad_data", "No.", "")];
  const ask = vi.fn(async () => Promise.reject(answers.shift() ?? new Error("asked too often")));
  function Shown(): string {
    return useQuery("held:once", ask).error?.message ?? "";
  }
  await render(<Shown />);
  await pass(0);
  expect(box.textContent).toBe("The server cannot be reached.");
  await pass(9_000);
  expect(ask).toHaveBeenCalledTimes(1);
  await pass(1_000);
  expect(box.textContent).toBe("Busy.");
  await pass(10_000);
  expect(box.textContent).toBe("No.");
  await pass(60_000);
  expect(ask).toHaveBeenCalledTimes(3);
});

test("a question that took too long is not asked again by itself, and one that is refused for want of room less and less often", async () => {
  vi.useFakeTimers();
  const late = vi.fn(async () => Promise.reject(new ApiError(503, "timeout", "It took too long.", "")));
  const full = vi.fn(async () => Promise.reject(new ApiError(503, "unavailable", "Full.", "")));
  function Shown(): string {
    return [useQuery("held:late", late), useQuery("held:full", full)].map(({ error }) => error?.message).join(" ");
  }
  await render(<Shown />);
  await pass(0);
  expect(box.textContent).toBe("It took too long. Full.");
  for (const [ms, times] of [[10_000, 2], [10_000, 2], [10_000, 3], [40_000, 4]] as const) {
    await pass(ms);
    expect(full).toHaveBeenCalledTimes(times);
  }
  expect(late).toHaveBeenCalledTimes(1);
});
