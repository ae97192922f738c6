import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Person, RefusedRequest } from "../src/api/types";
import { RefusedRequests } from "../src/pages/alerts/RefusedRequests";
import { SessionContext } from "../src/shell/session";
import { box, mountEach, render } from "./mount";

const request = (id: number, extra: Partial<RefusedRequest> = {}): RefusedRequest =>
  ({ id, at: "2026-11-23T09:12:00.000Z", refused_at: "2026-11-23T09:44:00.000Z", tries: 12, why: "the store is broken", alerts: ["Late"], total: 1, ...extra });

/** What a word touches is asked again within a second. */
const ANSWER = { timeout: 5_000 };

let items: RefusedRequest[];
/** Kept besides those that are listed. */
let more: number;
let asked: string[];

mountEach();
beforeEach(() => {
  items = [];
  more = 0;
  asked = [];
  vi.stubGlobal("ResizeObserver", class {
    observe(): void {}
    disconnect(): void {}
  });
  vi.stubGlobal("fetch", vi.fn(async (input: Request | string) => {
    const method = typeof input === "string" ? "GET" : input.method;
    asked.push(method);
    const total = items.length + more;
    if (method !== "GET") [items, more] = [[], 0];
    return new Response(JSON.stringify(method === "GET" ? { items, total } : { requests: total }), { headers: { "content-type": "application/json" } });
  }));
});

const shown = async (role = "deployer"): Promise<void> => {
  const person = { login: "raj", name: "Raj", role } as unknown as Person;
  await render(<SessionContext value={{ person, demo: false, version: "0" }}><RefusedRequests /></SessionContext>);
  await act(async () => vi.waitFor(() => expect(asked.length).toBeGreaterThan(0)));
};
const rows = async (count: number): Promise<void> => act(async () => vi.waitFor(() => expect(box.querySelectorAll("tbody tr")).toHaveLength(count), ANSWER));
const named = (text: string): HTMLButtonElement | undefined => [...box.querySelectorAll("button")].find((one) => one.textContent === text);
const click = (text: string): Promise<void> => act(async () => named(text)!.click());

test("where all was taken, nothing is said", async () => {
  await shown();
  await act(async () => Promise.resolve());
  expect(box.textContent).toBe("");
});

test("one says what it was about and why it was not taken, and is tried again", async () => {
  items = [request(1, { alerts: ["Late", "Late", ""], total: 30 })];
  await shown();
  await rows(1);
  expect(box.textContent).toContain("Late: 30 alerts");
  expect(box.textContent).toContain("the store is broken");
  expect(box.querySelector('[data-what="tries"]')!.textContent).toBe("12");
  expect(box.textContent).not.toContain("are listed");
  await click("Try all again");
  await rows(0);
  expect(asked.filter((method) => method !== "GET")).toEqual(["POST"]);
  expect(box.textContent).toBe("");
});

test("of more than are listed it is said how many there are, and they are forgotten after a second word", async () => {
  items = Array.from({ length: 100 }, (_, n) => request(n + 1, n === 0 ? { alerts: [], total: 0 } : {}));
  more = 150;
  await shown();
  await rows(100);
  expect(box.querySelector("tbody tr")!.children[1]!.textContent).toBe("—");
  expect(box.textContent).toContain("The newest 100 of 250 requests are listed; what is done here is done to all of them.");
  await click("Forget them…");
  expect(asked).not.toContain("DELETE");
  await click("Keep them");
  await click("Forget them…");
  await click("Forget for good");
  await rows(0);
  expect(asked.filter((method) => method !== "GET")).toEqual(["DELETE"]);
});

test("who may not decide sees them, and why the buttons do nothing", async () => {
  items = [request(1)];
  await shown("viewer");
  await rows(1);
  await click("Try all again");
  expect(box.textContent).toContain("takes the role deployer");
  expect(asked).not.toContain("POST");
});
