/** The deploy log as it is read on: older rows stay while things happen, and none falls out between two pages. */
import { act } from "react";
import { beforeEach, expect, it, vi } from "vitest";
import { touch } from "../src/api/useQuery";
import { DeployLog } from "../src/pages/deploys/log/DeployLog";
import { navigate } from "../src/router/router";
import { box, mountEach, pass, render } from "./mount";

mountEach();

let newest: number;
let asked: URLSearchParams[];
/** While it is there, answers wait for it. */
let gate: Promise<void> | null;
const deploy = (number: number) => ({
  number, service: "photos", environment: "production", state: "succeeded", kind: "deploy", from_sha: null, to_sha: "4f2c91a".padEnd(40, "0"), commits: [], removed: [], commit_count: 0,
  actor: { kind: "person", id: "ana" }, actor_name: "Ana", started_at: "2026-11-26T12:00:00Z", finished_at: "2026-11-26T12:01:00Z", steps: [], hosts: [], canary_steps: 0, canary_steps_passed: 0, max_commits_exceeded: false,
});

/** The server: deploys from `newest` down to 1. */
function answer(url: URL): unknown {
  if (url.pathname !== "/api/deploys") return { items: [] };
  asked.push(url.searchParams);
  const limit = Number(url.searchParams.get("limit"));
  const from = Math.min(newest, Number(url.searchParams.get("before") ?? Infinity) - 1);
  const items = Array.from({ length: Math.max(0, Math.min(limit, from)) }, (_, at) => deploy(from - at));
  return { items, next: items.length === limit ? items.at(-1)!.number : null };
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("ResizeObserver", class { observe(): void {} disconnect(): void {} });
  navigate("/deploys", { replace: true });
  newest = 120;
  asked = [];
  gate = null;
  vi.stubGlobal("fetch", async (request: Request | string) => {
    const url = new URL(typeof request === "string" ? request : request.url, location.href);
    await gate;
    return new Response(JSON.stringify(answer(url)), { headers: { "content-type": "application/json" } });
  });
});

const numbers = (): number[] => [...box.querySelectorAll("tbody td:first-child")].map((cell) => Number(cell.textContent));
const button = (text: string): HTMLButtonElement | undefined => [...box.querySelectorAll("button")].find((one) => one.textContent === text);
const range = (from: number, to: number): number[] => Array.from({ length: from - to + 1 }, (_, at) => from - at);

it("keeps what was read on when a deploy begins, without a gap", { timeout: 30_000 }, async () => {
  await render(<DeployLog />);
  await pass(0);
  expect(numbers()).toEqual(range(120, 71));
  let open = (): void => undefined;
  gate = new Promise((resolve) => (open = resolve));
  await act(async () => button("Older deploys")!.click());
  expect(numbers(), "the rows stay while more are asked for").toEqual(range(120, 71));
  open();
  await pass(0);
  expect(location.search).toBe("?shown=100");
  expect(numbers()).toEqual(range(120, 21));
  newest = 123;
  await act(async () => touch("deploy.queued"));
  await pass(1_000);
  expect(numbers()).toEqual(range(123, 24));
  await act(async () => button("Older deploys")!.click());
  await pass(0);
  expect(numbers()).toEqual(range(123, 1));
  expect(button("Older deploys")).toBeUndefined();
});

it("goes on behind the server's most for one answer by an address, and back", { timeout: 30_000 }, async () => {
  newest = 1_000;
  navigate("/deploys?shown=500", { replace: true });
  await render(<DeployLog />);
  await pass(0);
  await act(async () => button("Older deploys")!.click());
  await pass(0);
  expect(location.search).toBe("?before=501");
  expect(numbers()).toEqual(range(500, 451));
  await act(async () => button("Back to the newest")!.click());
  await pass(0);
  expect(numbers()).toEqual(range(1_000, 951));
});

it("asks the server for what the address narrows it to, and says so when nothing is left", async () => {
  newest = 0;
  navigate("/deploys?state=running&actor=ana&range=7d", { replace: true });
  await render(<DeployLog />);
  await pass(0);
  expect(Object.fromEntries(asked.at(-1)!)).toMatchObject({ state: "running", actor: "ana", limit: "50" });
  expect(asked.at(-1)!.has("from")).toBe(true);
  expect(box.textContent).toContain("No deploy matches these filters.");
  await act(async () => button("Clear")!.click());
  await pass(0);
  expect(location.search).toBe("");
  expect(box.textContent).toContain("Nothing was deployed yet.");
});
