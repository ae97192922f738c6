import { act, type ReactElement } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Alert, Incident, Mute, Person, Role, Schedule, Suspect } from "../src/api/types";
import AlertPage from "../src/pages/alerts/AlertPage";
import MutesPage from "../src/pages/alerts/MutesPage";
import { AddToDashboard } from "../src/pages/graphs/AddToDashboard";
import GraphsPage from "../src/pages/graphs/GraphsPage";
import IncidentsPage from "../src/pages/incidents/IncidentsPage";
import IncidentPage from "../src/pages/incidents/IncidentPage";
import { ScheduleSection } from "../src/pages/oncall/ScheduleSection";
import { Suspects } from "../src/parts/Suspects";
import { lacks, SessionContext } from "../src/shell/session";
import { box, mountEach, render } from "./mount";

// There is no canvas.
vi.mock("../src/charts/Plot", () => ({ Plot: () => null }));

const person = (role: Role, grants: Person["grants"] = []): Person => ({ login: "ana", name: "Ana", kind: "developer", timezone: "UTC", role, grants, contact: {} }) as unknown as Person;
const ALERT = {
  fingerprint: "f", rule: "Slow", group: "g", severity: "critical", state: "firing", summary: "Uploads are slow", labels: { alertname: "Slow" }, annotations: {}, value: 1,
  active_since: "2026-11-28T02:00:00Z", fired_at: null, resolved_at: null, suspects: [], expr: "", incident: 7, further_incidents: [], check: null,
} as unknown as Alert;
const INCIDENT = {
  number: 7, title: "Uploads are slow", severity: "critical", state: "open", drill: false, opened_at: "2026-11-28T02:00:00Z", onset: "2026-11-28T02:00:00Z", opened_by: "system",
  acknowledged_at: null, resolved_at: null, alerts: [], suspects: [], pages: [], escalation: { steps: 2, step: 1, round: 1 },
} as unknown as Incident;
const MUTE = {
  id: 1, kind: "silence", state: "active", holds: true, matchers: [{ name: "service", op: "=", value: "photos" }], reason: "racks", created_at: "2026-11-28T02:00:00Z", updated_at: "2026-11-28T02:00:00Z",
  starts_at: "2026-11-28T02:00:00Z", expires_at: "2999-01-01T00:00:00Z", recurs: [], recurs_text: "", created_by: "raj", created_by_name: "Raj",
} as unknown as Mute;
const SCHEDULE = {
  name: "photos-primary", people: ["raj"], layers: [], next: [], plan: {}, on_call: { schedule: "photos-primary", person: { login: "raj", name: "Raj", kind: "operator" } },
  overrides: [{ id: 3, kind: "replace", person: "mei", start: "2026-11-28T02:00:00Z", end: "2999-01-01T00:00:00Z", by: "raj" }],
} as unknown as Schedule;

let wrote: string[];
mountEach();
beforeEach(() => {
  wrote = [];
  history.replaceState(null, "", "/");
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    const { pathname } = new URL(typeof request === "string" ? request : request.url, "http://localhost");
    if (typeof request !== "string" && request.method !== "GET") wrote.push(pathname);
    if (pathname === "/api/alerts/f") return Response.json(ALERT);
    if (pathname === "/api/alerts/f/why") return Response.json({ decided: [] });
    if (pathname === "/api/incidents/7") return Response.json(INCIDENT);
    if (pathname === "/api/mutes") return Response.json({ items: [MUTE] });
    if (pathname === "/api/dashboards") return Response.json({ items: [{ name: "nodes", title: "Nodes", panels: [] }] });
    if (pathname === "/api/incidents" || pathname === "/api/alerts" || pathname === "/api/people" || pathname === "/api/events") return Response.json({ items: [], counts: [] });
    return Response.json({ error: { code: "gone", message: "not here", advice: "" } }, { status: 404 });
  }));
});

const as = (who: Person, page: ReactElement): Promise<void> => render(<SessionContext value={{ person: who, demo: false, version: "1" }}>{page}</SessionContext>);
const button = (name: string): HTMLElement => [...document.querySelectorAll<HTMLElement>("button")].find((one) => (one.getAttribute("aria-label") ?? one.textContent)?.startsWith(name))!;
const settled = (name: string): Promise<void> => act(async () => vi.waitFor(() => expect(button(name)).toBeDefined()));
/** What a button says of why it does nothing. */
const why = (name: string): string | null => {
  const id = button(name).getAttribute("aria-describedby");
  return button(name).getAttribute("aria-disabled") === "true" && id ? (document.getElementById(id)?.textContent ?? null) : null;
};

test("a role may be held on a single service, of which the server asks again", () => {
  const grant = (more: object): Person["grants"] => [{ role: "responder", ...more }] as Person["grants"];
  expect(lacks(person("viewer"), "responder")).toBe("It takes the role responder.");
  expect(lacks(person("responder"), "deployer")).toBe("It takes the role deployer.");
  expect([lacks(person("admin"), "deployer"), lacks(person("responder"), "responder"), lacks(person("viewer", grant({ service: "photos" })), "responder")]).toEqual([null, null, null]);
  expect(lacks(person("viewer", grant({ service: "photos" })), "responder", true)).toBe("It takes the role responder.");
  expect(lacks(person("viewer", grant({})), "responder", true)).toBeNull();
});

const PAGES: [name: string, page: ReactElement, buttons: string[]][] = [
  ["an alert's page", <AlertPage params={{ fingerprint: "f" }} />, ["Acknowledge", "Mute…"]],
  ["mutes", <MutesPage />, ["New mute", "Edit the mute of", "End now: the mute of"]],
  ["incidents", <IncidentsPage />, ["Drill", "Open an incident"]],
  ["an incident's page", <IncidentPage params={{ number: "7" }} />, ["Acknowledge", "Ask the next one", "Hand over", "Resolve"]],
  ["a schedule", <ScheduleSection schedule={SCHEDULE} />, ["Take it for", "Add an override", "Swap a shift", "Remove the override"]],
];

test.each(PAGES)("whoever may only read is told so on %s, before anything is asked", async (_, page, buttons) => {
  await as(person("viewer"), page);
  for (const name of buttons) {
    await settled(name);
    expect(why(name), name).toBe("It takes the role responder.");
    await act(async () => button(name).click());
  }
  expect(document.querySelector("[role=dialog]")).toBeNull();
  expect(box.querySelector("textarea")).toBeNull();
  expect(wrote.filter((path) => !path.endsWith("/preview"))).toEqual([]);
  await as(person("responder"), page);
  for (const name of buttons.filter((one) => one !== "Swap a shift")) expect(why(name), name).toBeNull();
});

test("a role that is granted for all services counts as one's own", async () => {
  await as(person("viewer", [{ role: "deployer" }] as Person["grants"]), <ScheduleSection schedule={SCHEDULE} />);
  expect([why("Edit"), why("New calendar address of")]).toEqual([null, null]);
  await as(person("viewer", [{ role: "deployer", service: "photos" }] as Person["grants"]), <ScheduleSection schedule={SCHEDULE} />);
  expect([why("Edit"), why("New calendar address of")]).toEqual(["It takes the role deployer.", "It takes the role responder."]);
});

test("a dashboard is changed by deployers", async () => {
  await as(person("responder"), <GraphsPage params={{}} />);
  for (const name of ["New dashboard", "Import", "Edit"]) {
    await settled(name);
    expect(why(name), name).toBe("It takes the role deployer.");
  }
  await as(person("deployer"), <GraphsPage params={{}} />);
  expect([why("New dashboard"), why("Import"), why("Edit")]).toEqual([null, null, null]);
});

const SUSPECTS = [
  { seq: 1, kind: "deploy", number: 4, at: "2026-11-28T02:00:00Z", text: "mei deployed photos", actor_name: "Mei", rollback: false },
  { seq: 2, kind: "flip", flag: "new-search", at: "2026-11-28T02:00:00Z", text: "mei switched new-search on", actor_name: "Mei", rollback: false },
] as unknown as Suspect[];

test("what came before an alert is undone by whoever may", async () => {
  const shown = <Suspects suspects={SUSPECTS} service="photos" environment="production" />;
  await as(person("viewer"), shown);
  expect([why("Flag off"), why("Roll back")]).toEqual(["It takes the role responder.", "It takes the role deployer."]);
  await as(person("responder"), shown);
  expect([why("Flag off"), why("Roll back")]).toEqual([null, "It takes the role deployer."]);
});

test("what is asked in Explore is kept by deployers", async () => {
  const shown = { title: "up", queries: [{ expr: "up" }] };
  await as(person("viewer"), <AddToDashboard shown={shown} />);
  expect(why("Add to a dashboard")).toBe("It takes the role deployer.");
  await as(person("deployer"), <AddToDashboard shown={shown} />);
  expect(why("Add to a dashboard")).toBeNull();
});

test("an override begins with the next hour, however long the page has stood there", async () => {
  vi.useFakeTimers({ now: Date.parse("2026-11-28T03:10:00Z"), toFake: ["Date"] });
  await as(person("responder"), <ScheduleSection schedule={SCHEDULE} />);
  vi.setSystemTime(Date.parse("2026-11-29T05:10:00Z"));
  await act(async () => button("Add an override").click());
  const [from] = document.querySelectorAll<HTMLInputElement>("[role=dialog] input[type=datetime-local]");
  expect(Date.parse(from!.value)).toBe(Date.parse("2026-11-29T06:00:00Z"));
});
