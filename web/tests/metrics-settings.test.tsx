import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import { jobsOf } from "../src/pages/settings/metrics/Sources";
import { MetricsSettings } from "../src/pages/settings/MetricsSettings";
import { mountEach, reload, render } from "./mount";

const AT = "2026-11-23T09:12:00.000Z";
const series = (name: string, count: number, active: number, created: number): object => ({ name, series: count, active, created_last_hour: created });

const STORE = { trouble: null, blocks: 2, block_bytes: 1 << 30, coarse_bytes: 0, log_bytes: 0, oldest_at: AT, newest_at: AT, retention_days: 15, retention_bytes_max: null, out_of_order_ms: 1_800_000, quarantined: [], quarantined_count: 0, quarantine_advice: null };
const DAMAGED = { ...STORE, retention_bytes_max: 10 * 2 ** 30, quarantined: [{ name: "7.blk", path: "/data/metrics/quarantine/7.blk", bytes: 2048, moved_at: AT }], quarantined_count: 1, quarantine_advice: "Look for errors of the disk." };
const CARDINALITY = { series: 9, series_max: 10, active_series: 7, created_last_hour: 0, labels: 2, label_pairs: 3, metrics: [series("up", 9, 7, 0)], churn: [series("up", 9, 7, 0)], created: [] as object[], labels_by_values: [{ label: "path", values: 4, bytes: 3072 }], labels_by_bytes: [{ label: "path", values: 4, bytes: 3072 }], pairs_by_series: [series("job=web", 9, 7, 0)] };
const SOURCE = { protocol: "otlp", name: "ci", last_at: AT, series: 5, series_max: 5, samples_per_second_max: 0, own_limits: true, throttled: 0, exceeded: [{ limit: "series", last_at: AT, count: 3, example: "x" }], samples: 50, histograms: 0, exemplars: 0, refused: [] };
const JOB = { job: "node", exceeded: [{ limit: "sample_limit", last_at: AT, count: 14, example: "db2:9100: sample_limit exceeded (number of samples: 12, limit: 10)" }] };

let asked: object[];
let answers: Record<string, unknown>;

mountEach();
beforeEach(() => {
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    const path = new URL(typeof request === "string" ? request : request.url, "http://localhost").pathname;
    if (typeof request !== "string" && request.method === "POST") asked.push((await request.json()) as object);
    return new Response(JSON.stringify(answers[path]), { headers: { "content-type": "application/json" } });
  }));
  asked = [];
  answers = { "/api/v1/query": { status: "success", data: { resultType: "vector", result: [{ metric: { job: "node" }, value: [1, "12"] }] } }, "/api/metrics/store": STORE, "/api/metrics/cardinality": CARDINALITY, "/api/metrics/sources": { items: [SOURCE], jobs: [JOB] }, "/api/metrics/delete": { series: 9, examples: ["up{job=\"web\"}"], dry_run: true } };
});

const settled = (text: string): Promise<void> => vi.waitFor(() => expect(document.body.textContent).toContain(text));
const click = (button: HTMLElement | null | undefined): Promise<void> => act(async () => button?.click());
const named = (text: string): HTMLElement | undefined => [...document.querySelectorAll("button")].find((one) => one.textContent === text);
const shown = async (text: string): Promise<string> => {
  await render(<MetricsSettings />);
  await act(async () => settled(text));
  return document.body.textContent ?? "";
};

test("a damaged file stands on the page with what to do, and a whole store says nothing", async () => {
  const whole = await shown("kept for 15 days");
  expect(whole).not.toContain("damaged");
  expect(whole).toContain("1 GiB on the disk");
  answers["/api/metrics/store"] = DAMAGED;
  await reload();
  const text = await shown("A damaged file was moved aside");
  expect(text).toContain("Look for errors of the disk.");
  expect(text).toContain("/data/metrics/quarantine/7.blk");
  expect(text).toContain("1 GiB of at most 10 GiB on the disk");
});

test("who went over which limit is told, of those who push and of those who are scraped", async () => {
  const text = await shown("Scraped jobs over their limits");
  expect(text).toContain("Over: series");
  expect(text).toContain("limits of its own");
  expect(text).toContain("sample_limit exceeded (number of samples: 12, limit: 10)");
});

test("each scraped job has its series, the most first", async () => {
  expect(await shown("New in the last scrapes")).toContain("node121212");
  const sample = (job: string, value: number): { labels: Record<string, string>; value: number } => ({ labels: { job }, value });
  expect(jobsOf([[sample("a", 5), sample("b", 9)], [sample("b", 2)], [sample("a", 1)]])).toEqual([{ job: "b", series: 9, targets: 2, added: 0 }, { job: "a", series: 5, targets: 0, added: 1 }]);
  expect(jobsOf([[], [], []])).toEqual([]);
});

test("new series are told, and of which metrics", async () => {
  expect(await shown("New series")).toContain("0 came within the last hour");
  answers["/api/metrics/cardinality"] = { ...CARDINALITY, created_last_hour: 4, created: [series("up", 9, 7, 4)] };
  await reload();
  expect(await shown("New series")).toContain("4 came within the last hour");
});

test("a row leads to the deletion of its series, which first says what it would hit", async () => {
  await shown("Label pairs");
  await click(document.querySelector<HTMLElement>('[aria-label="Delete samples of job=web"]'));
  await act(async () => settled("9 series"));
  expect(asked).toEqual([{ selectors: ['{job="web"}'], end: null, dry_run: true }]);
  await click(named("Delete for good"));
  await act(async () => vi.waitFor(() => expect(named("Delete for good")).toBeUndefined()));
  expect(asked[1]).toEqual({ selectors: ['{job="web"}'], end: null, dry_run: false });
});

test("what hits nothing cannot be deleted, and says so", async () => {
  answers["/api/metrics/delete"] = { series: 0, examples: [], dry_run: true };
  await shown("Label pairs");
  await click(document.querySelector<HTMLElement>('[aria-label="Delete samples of up"]'));
  await act(async () => settled("There is nothing to delete"));
  await click(named("Delete for good"));
  expect(asked).toHaveLength(1);
});

test("metrics are found by words, and those that nothing asks for, with what is not known of them", async () => {
  const paths: string[] = [];
  const before = globalThis.fetch;
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    const { pathname, search } = new URL(typeof request === "string" ? request : request.url, "http://localhost");
    if (pathname.endsWith("/names")) paths.push(pathname + search);
    return before(request);
  }));
  answers["/api/metrics/names"] = { found: 21, series: 1234, items: [series("http_bytes", 900, 900, 0)] };
  await shown("Find metrics");
  const region = document.querySelector<HTMLElement>('section[aria-label="Find metrics"]') ?? document.body;
  const input = region.querySelector<HTMLInputElement>("input[type=search]")!;
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")!.set!.call(input, " http ");
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  expect(paths).toEqual([]);
  await click(named("Find"));
  await act(async () => settled("21 metrics with 1,234 series; those with the most series are the 1 below."));
  expect(document.body.textContent).not.toContain("look there before you delete");
  await click(region.querySelector<HTMLInputElement>("input[type=checkbox]"));
  await act(async () => settled("look there before you delete"));
  expect(paths).toEqual(["/api/metrics/names?words=http", "/api/metrics/names?words=http&unnamed=true"]);
  expect(named("Delete…")?.getAttribute("aria-label")).toMatch(/^Delete samples of /);
});
