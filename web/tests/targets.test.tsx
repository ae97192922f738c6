/** The list of targets: what is asked by the address, what is down first, and what it says where there is nothing. */
import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Target, TargetCounts, TargetList } from "../src/api/types";
import { byJob, counted, FirstTargets, Targets } from "../src/pages/graphs/Targets";
import { navigate } from "../src/router/router";
import { box, mountEach, pass, reload, render } from "./mount";

const counts = (up: number, down = 0, unknown = 0): TargetCounts => ({ up, down, unknown });

function target(job: string, instance: string, health: Target["health"], more: Partial<Target> = {}): Target {
  return {
    pool: job, job, instance, host: null, url: `http://${instance}:9100/metrics`, labels: { job, instance, zone: "eu" }, discovered: {}, interval_ms: 15_000, timeout_ms: 10_000,
    health, last_scrape: new Date(Date.now() - 180_000).toISOString(), duration_ms: 12, samples: 3, error: null, ...more,
  };
}

const DOWN = target("web", "h2", "down", { error: "connection refused" });
const LIST: TargetList = {
  items: [DOWN, target("web", "h3", "unknown", { last_scrape: null, duration_ms: null }), target("web", "h1", "up")],
  counts: counts(9_000, 1, 1), jobs: [{ job: "web", counts: counts(8_000, 1, 1) }, { job: "db", counts: counts(1_000) }], jobs_left_out: 0, next: "2.a.3.webh1",
};
const NONE: TargetList = { items: [], counts: counts(0), jobs: [], jobs_left_out: 0 };

let asked: string[];
let answer: [status: number, body: object];

mountEach();
beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("ResizeObserver", class { observe(): void {} disconnect(): void {} });
  navigate("/settings/targets", { replace: true });
  asked = [];
  answer = [200, LIST];
  vi.stubGlobal("fetch", async (request: Request | string) => {
    asked.push(new URL(typeof request === "string" ? request : request.url, location.href).search);
    return new Response(JSON.stringify(answer[1]), { status: answer[0], headers: { "content-type": "application/json" } });
  });
});

const shown = async (element = <Targets />): Promise<string> => {
  await render(element);
  await pass(0);
  return box.textContent ?? "";
};
const button = (text: string): HTMLButtonElement | undefined => [...box.querySelectorAll("button")].find((one) => one.textContent === text);
const heads = (): string[] => [...box.querySelectorAll("tbody th")].map((one) => one.textContent ?? "");

test("targets stand by job, with how many there are", () => {
  expect(counted(counts(9_997, 2, 1))).toBe("2 down, 1 without data, 9,997 up");
  expect(counted(counts(0))).toBe("");
  const told = (list: TargetList, state = ""): string[] => byJob(list, state).map(({ job, rows, more }) => `${job} ${rows.length} ${more}`);
  expect(told(LIST)).toEqual(["web 3 7999", "db 0 1000"]);
  expect(told({ ...LIST, items: [DOWN] }, "down"), "a job in which none is down says nothing then").toEqual(["web 1 0"]);
  expect(told({ ...LIST, items: [target("rare", "h9", "up")], jobs: [] }), "one of too many jobs").toEqual(["rare 1 0"]);
});

test("what is down stands first, with why, when it was asked and how long that took", async () => {
  const text = await shown();
  expect(asked).toEqual(["?limit=200"]);
  expect(heads()).toEqual(["web: 1 down, 1 without data, 8,000 up; the first 3 are listed", "db: 1,000 up; none of them is listed"]);
  const first = [...box.querySelectorAll("tbody td")].slice(0, 6).map((one) => one.textContent);
  expect(first).toEqual(["▲Down", "h2 h2:9100", "zone=eu", "3 min ago", "12 ms", "connection refused"]);
  expect(text).toContain("1 down, 1 without data, 9,000 up");
  expect(text).toContain("A target that is down says why.");
  expect([...box.querySelectorAll("tbody a")].map((one) => one.getAttribute("href"))).toEqual(["/settings/targets?job=web", "/settings/targets?job=db"]);
});

test("words, state and job stand in the address", async () => {
  navigate("/settings/targets?state=down&job=web&q=zone%3Deu", { replace: true });
  const text = await shown();
  expect(Object.fromEntries(new URLSearchParams(asked[0]))).toEqual({ health: "down", job: "web", q: "zone=eu", limit: "200" });
  expect(text).toContain("Only the job web.");
  expect([...box.querySelectorAll("a")].map((one) => one.getAttribute("href"))).toEqual(["/settings/targets?state=down&q=zone%3Deu"]);
  const input = box.querySelector<HTMLInputElement>("input[type=search]")!;
  expect(input.value).toBe("zone=eu");
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(input, "h2");
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  expect(asked, "typing is waited for").toHaveLength(1);
  await pass(300);
  expect(new URLSearchParams(location.search).get("q")).toBe("h2");
  expect(new URLSearchParams(asked[1]).get("q")).toBe("h2");
});

test("more are listed when somebody wants more", async () => {
  await shown();
  await act(async () => button("Show more targets")!.click());
  await pass(0);
  expect(asked).toEqual(["?limit=200", "?limit=1000"]);
  answer = [200, { ...LIST, next: undefined }];
  await reload();
  await shown();
  expect(button("Show more targets")).toBeUndefined();
});

test("where there is nothing, it says what to do", async () => {
  answer = [200, NONE];
  expect(await shown()).toContain("Nothing is scraped yet.");
  await reload();
  navigate("/settings/targets?q=nowhere", { replace: true });
  expect(await shown()).toContain("No target has all these words.");
  await reload();
  navigate("/settings/targets?job=gone", { replace: true });
  expect(await shown()).toContain("This job has no targets now.");
  await reload();
  navigate("/settings/targets?state=down", { replace: true });
  answer = [200, { ...LIST, items: [], next: undefined }];
  expect(await shown()).toContain("No target is down.");
});

test("what fails says so, and files that are not obeyed say why", async () => {
  answer = [503, { error: { code: "unavailable", message: "the server is stopping", advice: "ask again" } }];
  expect(await shown()).toContain("The server is stopping.Ask again.");
  answer = [200, { ...LIST, config_trouble: "prometheus.yml, line 3: no such key" }];
  await act(async () => button("Try again")!.click());
  await pass(0);
  expect(box.textContent).toContain("not obeyed as they are now: prometheus.yml, line 3: no such key");
  expect(box.textContent).toContain("A file that is put right counts at once.");
});

test("below graphs are the first alone, and the way to all of them", async () => {
  navigate("/graphs/edge?q=other&state=up", { replace: true });
  await shown(<FirstTargets />);
  expect(asked).toEqual(["?limit=10"]);
  expect(box.querySelector("input")).toBeNull();
  expect([...box.querySelectorAll("a")].map((one) => one.getAttribute("href"))).toEqual(["/settings/targets", "/settings/targets?job=web", "/settings/targets?job=db"]);
});
