import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Alert, Person } from "../src/api/types";
import { Before, Paging } from "../src/pages/alerts/Response";
import SimulatePage from "../src/pages/alerts/SimulatePage";
import { SessionContext } from "../src/shell/session";
import { box, mountEach, render } from "./mount";

const person = { login: "ana", name: "Ana Silva", kind: "developer", timezone: "UTC", role: "viewer", contact: {} } as unknown as Person;
const way = (channel: string, at: string): object => ({ channel, at });
const TOLD = {
  labels: { alertname: "Down" }, at: "2026-11-23T09:00:00Z", firing: false, pages: true,
  explanation: {
    fingerprint: "f", refused: [["/{team=\"db\"}", "team=\"db\""]],
    routes: [{ route: "/", receiver: "web", group: {}, verdict: "send", next_at: "2026-11-23T09:00:00Z", decisions: [{ stage: "mute", verdict: "pass", because: "no mute covers it" }] }],
  },
  notifications: [{ at: "2026-11-23T09:00:00Z", notification: { receiver: "web", reason: "first" } }],
  incident: {
    verdict: "opened", number: null, at: "2026-11-23T09:00:00Z", because: "none is open for photos", policy: "photos", exhausted_at: null,
    steps: [
      { step: 1, round: 1, at: "2026-11-23T09:00:00Z", pages: [{ person: "raj", person_name: "Raj Patel", copy: false, reasons: [{ stage: "schedule", because: "Raj is on photos-primary" }], ways: [way("sms", "2026-11-23T09:00:00Z"), way("mail", "2026-11-23T09:00:30Z")] }] },
      { step: 2, round: 1, at: "2026-11-23T09:05:00Z", held_since: "2026-11-23T09:01:00Z", pages: [] },
    ],
  },
  further: [],
};
const incident = (number: number, more: object): object => ({
  number, title: "uploads are slow", severity: "critical", state: "resolved", drill: false, opened_at: "2026-11-20T09:00:00Z", onset: "2026-11-20T09:00:00Z", opened_by: "system",
  acknowledged_by_name: "Mei Lin", resolved_at: "2026-11-20T09:14:00Z", alerts: [], suspects: [], pages: [], escalation: null, ...more,
});

let asked: { path: string; body: string }[];

mountEach();
beforeEach(() => {
  asked = [];
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    const url = new URL(typeof request === "string" ? request : request.url, "http://127.0.0.1");
    asked.push({ path: url.pathname + url.search, body: typeof request !== "string" && request.method === "POST" ? await request.clone().text() : "" });
    const answers: Record<string, unknown> = {
      "/api/alerts/simulate": TOLD,
      "/api/events": { items: [{ seq: 2, subject: { incident: 12 } }, { seq: 1, subject: { incident: 7 } }], next: null },
      "/api/incidents/7": incident(7, { classified: "action" }),
      "/api/incidents/12": incident(12, { state: "open", resolved_at: null, escalation: { policy: "photos", step: 1, steps: 2, round: 1, state: "waiting", next_at: "2026-11-23T09:05:00Z", waiting_for: ["Raj Patel"] } }),
    };
    return Response.json(answers[url.pathname] ?? { items: [] });
  }));
  history.replaceState(null, "", "/alerts/simulate");
});

const shown = async (element: React.ReactElement, text: string): Promise<void> => {
  await render(<SessionContext value={{ person, demo: false, version: "0" }}>{element}</SessionContext>);
  await act(async () => { await vi.waitFor(() => { if (!box.textContent.includes(text)) throw new Error(`${text} is not there`); }); });
};

test("nothing is asked before labels are given, and the command is taught", async () => {
  await shown(<SimulatePage />, "tenfold simulate");
  expect(asked).toEqual([]);
});

test("labels are played: who is paged, when, by which ways, and what each stage says", async () => {
  history.replaceState(null, "", `/alerts/simulate?labels=${encodeURIComponent('alertname="Down"')}`);
  await shown(<SimulatePage />, "Raj Patel");
  const question = asked.find(({ path }) => path === "/api/alerts/simulate");
  expect(JSON.parse(question!.body)).toEqual({ labels: 'alertname="Down"' });
  for (const text of ["an incident is opened, none is open for photos", "Text message", "then Mail", "nobody, it is passed over", "waits while all its alerts are muted", "Mutes: Goes on", "no mute covers it", "1 route that it does not take", "for the first time"]) {
    expect(box.textContent).toContain(text);
  }
});

test("an alert says who was asked, and how it went before", async () => {
  const alert = { fingerprint: "f", incident: 12 } as unknown as Alert;
  await shown(<><Paging number={12} /><Before alert={alert} /></>, "action taken");
  expect(box.textContent).toContain("Waiting for Raj Patel");
  expect(box.textContent).toContain("Incident 7");
  expect(box.textContent).toContain("Mei Lin had it: action taken");
  expect(box.textContent).not.toContain("Incident 12");
});
