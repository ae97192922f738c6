import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { NextDeploy, Person } from "../src/api/types";
import { QueueLine } from "../src/pages/deploys/Queue";
import { SessionContext } from "../src/shell/session";
import { box, mountEach, render } from "./mount";

const AT = "2026-11-23T09:12:00.000Z";
const entry = (id: number, login: string): object => ({ id, position: id, origin: "ask", actor: { kind: "person", id: login }, actor_name: login, sha: `4f2a91${id}4f2a91c`, reason: null, not_before: null, asked_at: AT });
const queue = (extra: object): object => ({ service: "photos", environment: "production", entries: [entry(1, "ana"), entry(2, "raj")], waits_for: "deploy 7, which is under way", stands: false, ...extra });

let said: { path: string; body: unknown }[];
let items: object[];

mountEach();
beforeEach(() => {
  said = [];
  vi.stubGlobal("fetch", vi.fn(async (request: Request) => {
    const path = new URL(request.url, "http://localhost").pathname;
    if (request.method === "POST") {
      said.push({ path, body: (await request.json()) as unknown });
      return new Response(JSON.stringify(path === "/api/queues" ? { deploy: null, waiting: entry(3, "mei") } : queue({})), { headers: { "content-type": "application/json" } });
    }
    return new Response(JSON.stringify({ items }), { headers: { "content-type": "application/json" } });
  }));
});

const next = (state: string | null): NextDeploy => ({ running: state === null ? null : { number: 7, state } }) as NextDeploy;
const show = async (login: string, state: string | null): Promise<void> => {
  const person = { login } as Person;
  await render(<SessionContext value={{ person, demo: false, version: "" }}><QueueLine service="photos" environment="production" next={next(state)} /></SessionContext>);
  await act(async () => vi.waitFor(() => expect(fetch).toHaveBeenCalled()));
  await act(async () => undefined);
};
const buttons = (): string[] => [...box.querySelectorAll("button")].map((button) => button.textContent ?? "");
const press = (name: string): Promise<void> => act(async () => [...box.querySelectorAll("button")].find((button) => button.textContent === name)!.click());

test("who waits, and for what; the own place can be left, others are taken out", async () => {
  items = [queue({})];
  await show("raj", "canary");
  expect(box.textContent).toContain("waits for deploy 7, which is under way");
  expect(box.querySelectorAll("ol > li")).toHaveLength(2);
  expect(buttons()).toEqual(["Take out", "Leave"]);
  await press("Leave");
  await press("Take out");
  expect(said).toEqual([
    { path: "/api/queues/photos/production", body: { word: "leave" } },
    { path: "/api/queues/photos/production", body: { word: "drop", of: "ana" } },
  ]);
});

test("a queue that stands is let go on", async () => {
  items = [queue({ stands: true, waits_for: "somebody to say go: deploy 7 was taken back" })];
  await show("mei", null);
  expect(box.textContent).toContain("Queue stands");
  await press("Let it go on");
  expect(said).toEqual([{ path: "/api/queues/photos/production", body: { word: "go" } }]);
});

test("while a deploy is under way one's own is queued; without one there is nothing to see", async () => {
  items = [];
  await show("mei", "building");
  await press("Queue mine");
  expect(said).toEqual([{ path: "/api/queues", body: { service: "photos", environment: "production" } }]);
  await show("mei", null);
  expect(buttons()).toEqual([]);
});
