import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Page, Person } from "../src/api/types";
import MyOnCallPage from "../src/pages/oncall/MyOnCallPage";
import ReadinessPage from "../src/pages/oncall/ReadinessPage";
import { ringingWays, waitingFor, waysInWords } from "../src/pages/oncall/ways";
import { SessionContext } from "../src/shell/session";
import { box, mountEach, render } from "./mount";

const person = {
  login: "ana", name: "Ana Silva", kind: "developer", timezone: "Europe/Berlin", role: "responder",
  contact: { email: "ana@example.org", channels: { ntfy: "https://ntfy.sh/secret-topic", sms: "+4930123456" }, rules: { critical: [{ channel: "sms", after_s: 0 }, { channel: "mail", after_s: 60 }] } },
} as unknown as Person;
const page = (of: Partial<Page>): Page => ({ id: "p", incident: 3, step: 1, round: 1, person: "ana", person_name: "Ana Silva", state: "delivered", attempts: [], due_at: "2026-11-23T09:00:00Z", ...of }) as Page;

const trouble = { kind: "channel_unset", text: "has an address for sms, which is not set up at the server" };
const ANSWERS: Record<string, unknown> = {
  "/api/schedules": { items: [{ name: "photos-primary", people: ["ana"], next: [{ schedule: "photos-primary", person: { login: "ana", name: "Ana Silva" }, since: "2026-11-23T08:00:00Z", until: "2026-11-30T08:00:00Z" }] }] },
  "/api/swaps": { items: [
    { id: 1, schedule: "photos-primary", state: "open", from: "raj", with: "ana", give_start: "2026-11-30T08:00:00Z", give_end: "2026-12-07T08:00:00Z" },
    { id: 2, schedule: "photos-primary", state: "open", from: "raj", with: "mei", give_start: "2026-11-30T08:00:00Z", give_end: "2026-12-07T08:00:00Z" },
  ] },
  "/api/incidents": { items: [
    { number: 3, title: "uploads are slow", state: "open", pages: [page({})] },
    { number: 4, title: "somebody else's", state: "open", pages: [page({ person: "raj" })] },
    { number: 5, title: "taken", state: "acknowledged", pages: [page({ state: "acknowledged" })] },
  ] },
  "/api/pages": { items: [page({ incident: 0, attempts: [{ channel: "mail", state: "failed", at: "2026-11-23T09:00:01Z", error: "550 no such mailbox" }] }), page({})] },
  "/api/readiness": {
    at: "2026-11-23T09:00:00Z", until: "2026-12-07T09:00:00Z", test_days: 7,
    people: [{ login: "ana", name: "Ana Silva", schedules: ["photos-primary"], policies: ["photos"], ways: ["mail"], ready: false, unreachable: false, troubles: [trouble] },
      { login: "raj", name: "Raj Patel", schedules: [], policies: ["photos"], ways: [], ready: false, unreachable: true, troubles: [{ kind: "no_way", text: "has no address for a channel that is set up" }] }],
    steps: [{ policy: "photos", step: 2, from: "2026-11-30T08:00:00Z" }],
    teams: [{ team: "web", policies: ["photos"], text: "has nobody in it" }],
    ends: [{ schedule: "imported", at: "2026-12-01T08:00:00Z" }],
    unreached: [{ kind: "receiver", name: "dba", text: "names the policy db, which is not there" }],
    calendars: [{ schedule: "photos-primary", text: "cannot be read from calendar.example.org since 2026-11-23 08:00 UTC: it answers 500; what it said last holds" }],
  },
};

mountEach();
beforeEach(() => {
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    const { pathname } = new URL(typeof request === "string" ? request : request.url, "http://127.0.0.1");
    return Response.json(ANSWERS[pathname] ?? { items: [] });
  }));
});

const signedIn = async (Shown: () => React.ReactElement): Promise<void> => {
  await render(<SessionContext value={{ person, demo: false, version: "0" }}><Shown /></SessionContext>);
  await act(async () => { await vi.waitFor(() => { if (box.querySelector('[aria-busy="true"]')) throw new Error("it loads"); }); });
};
const section = (name: string): string => {
  const heading = [...box.querySelectorAll("h2")].find((one) => one.textContent === name);
  return heading?.closest("section")?.textContent ?? "";
};

test("every way is named, in the order in which it rings, and no secret with it", () => {
  const ways = ringingWays(person);
  expect(ways.map(({ channel, critical, other }) => [channel, critical, other])).toEqual([["sms", 0, 60], ["mail", 60, 0], ["ntfy", null, 30]]);
  expect(waysInWords(person)).toBe("text message (+4930123456), mail (ana@example.org), ntfy, this page");
  expect(waitingFor([page({}), page({ state: "superseded" }), page({ copy: true }), page({ person: "raj" })], "ana")).toHaveLength(1);
});

test("my page has what waits for me, my shifts, swaps and ways, and how the last test went", async () => {
  await signedIn(MyOnCallPage);
  expect(section("Pages that wait for me")).toContain("Incident 3: uploads are slow");
  expect(section("Pages that wait for me")).not.toMatch(/somebody else|taken/);
  expect(section("My shifts")).toContain("photos-primary");
  expect(section("My swaps").match(/raj asks/g)).toHaveLength(1);
  expect(section("How pages reach me")).toContain("Text message+4930123456at onceafter 60 s");
  expect(section("How pages reach me")).not.toContain("secret-topic");
  expect(section("Last test")).toContain("Mail: ");
  expect(section("Last test")).toContain("550 no such mailbox");
  expect(section("Last test")).toContain(`Ana Silva ${trouble.text}`);
});

test("readiness says by name what is to mend, and which steps have nobody", async () => {
  await signedIn(ReadinessPage);
  expect(section("What pages nobody")).toContain("The receiver dba names the policy db, which is not there");
  expect(section("Steps with nobody")).toContain("Step 2 of photos has nobody from");
  expect(section("Teams that cannot be paged as a whole")).toContain("web, which photos pages, has nobody in it");
  expect(section("Schedules that end")).toContain("imported has nobody any more from");
  expect(section("Calendars that are followed")).toContain("The calendar of photos-primary cannot be read from calendar.example.org since");
  const rows = [...box.querySelectorAll("tbody tr")].map((row) => row.textContent ?? "");
  expect(rows[0]).toContain("To mendAna Silva");
  expect(rows[0]).toContain(trouble.text);
  expect(rows[1]).toContain("UnreachableRaj Patel");
});
