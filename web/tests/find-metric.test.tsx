import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";
import type { Family } from "../src/api/promql";
import { PanelChart } from "../src/charts/PanelChart";
import { sharesOf } from "../src/pages/graphs/Explain";
import ExplorePage, { tablesOf, withQuery } from "../src/pages/graphs/ExplorePage";
import { searched } from "../src/pages/graphs/MetricChooser";
import { box, mountEach, render } from "./mount";

vi.mock("../src/editor/PromqlEditor", () => ({
  default: ({ label, value, onChange }: { label: string; value: string; onChange: (text: string) => void }) => <textarea aria-label={label} value={value} onChange={(event) => onChange(event.target.value)} />,
}));

// There is no canvas.
vi.mock("../src/charts/Plot", () => ({ Plot: () => null }));

const family = (help: string, type = "counter"): Family => ({ type, help, unit: "" });
const KNOWN = new Map([["http_requests", family("Requests that were answered.")], ["latency_seconds", family("How long an answer takes.", "histogram")]]);
const NAMES = ["http_requests_total", "latency_seconds_bucket", "up"];

let answers: Record<string, [status: number, body: object]>;
mountEach();
beforeEach(() => {
  history.replaceState(null, "", "/graphs/explore");
  answers = {
    "/api/v1/label/__name__/values": [200, { data: NAMES }],
    "/api/v1/metadata": [200, { data: Object.fromEntries([...KNOWN].map(([name, one]) => [name, [one]])) }],
    "/api/v1/format_query": [200, { data: "sum(\n  up\n)" }],
  };
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    const { pathname } = new URL(typeof request === "string" ? request : request.url, "http://localhost");
    const [status, body] = answers[pathname] ?? [404, {}];
    return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
  }));
});

const named = (text: string): HTMLElement | undefined => [...document.querySelectorAll<HTMLElement>("button")].find((one) => one.textContent === text);
const press = (text: string): Promise<void> => act(async () => named(text)!.click());
const settled = (check: () => void): Promise<void> => act(async () => vi.waitFor(check));
const texts = (): string[] => [...box.querySelectorAll("textarea")].map(({ value }) => value);
function write(element: HTMLInputElement | HTMLTextAreaElement, text: string): Promise<void> {
  const proto = element instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
  return act(async () => {
    Object.getOwnPropertyDescriptor(proto.prototype, "value")!.set!.call(element, text);
    element.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

test("metrics are found by words of their names, then of what is said of them", () => {
  const found = (text: string): string[] => searched(NAMES, KNOWN, text).map(({ name }) => name);
  expect(found("")).toEqual(NAMES);
  expect(found("HTTP total")).toEqual(["http_requests_total"]);
  expect(found("answer")).toEqual(["http_requests_total", "latency_seconds_bucket"]);
  expect(found("seconds long")).toEqual(["latency_seconds_bucket"]);
  expect(found("nothing")).toEqual([]);
  expect(searched(NAMES, KNOWN, "bucket")[0]?.family?.type).toBe("histogram");
});

test("what is chosen never takes the place of what was typed", () => {
  expect(withQuery([""], "up")).toEqual(["up"]);
  expect(withQuery(["rate(a[5m])"], "up")).toEqual(["rate(a[5m])", "up"]);
  expect(withQuery(["a", " "], "up")).toEqual(["a", "up"]);
  const full = Array.from({ length: 10 }, (_, n) => `q${n}`);
  expect(withQuery(full, "up")).toEqual([...full.slice(0, 9), "up"]);
});

test("a metric is searched with its description, and stands in the editor", async () => {
  await render(<ExplorePage />);
  await settled(() => expect(texts()).toEqual([""]));
  await press("Find a metric");
  await settled(() => expect(document.body.textContent).toContain("How long an answer takes."));
  expect(document.querySelector("[role=status]")?.textContent).toBe("3 metrics");
  await write(document.querySelector<HTMLInputElement>("input[type=search]")!, "long");
  expect(document.querySelector("[role=status]")?.textContent).toBe("1 of 3 metrics");
  await press("latency_seconds_bucket");
  expect(texts()).toEqual(["latency_seconds_bucket"]);
  expect(document.querySelector("input[type=search]")).toBeNull();
});

test("Enter takes the first that is found, and asks nothing yet", async () => {
  await render(<ExplorePage />);
  await settled(() => expect(texts()).toEqual([""]));
  await write(box.querySelector("textarea")!, "max(");
  await press("Find a metric");
  await settled(() => expect(document.body.textContent).toContain("How long an answer takes."));
  const input = document.querySelector<HTMLInputElement>("input[type=search]")!;
  await write(input, "long");
  await act(async () => input.form!.requestSubmit());
  expect(texts()).toEqual(["max(", "latency_seconds_bucket"]);
  expect(location.search).toBe("");
});

test("queries are written as Prometheus writes them; what is no query stays, with the reason", async () => {
  history.replaceState(null, "", "/graphs/explore?expr=sum(up)");
  await render(<ExplorePage />);
  await settled(() => expect(texts()).toEqual(["sum(up)"]));
  await press("Format");
  await settled(() => expect(texts()).toEqual(["sum(\n  up\n)"]));
  answers["/api/v1/format_query"] = [400, { status: "error", errorType: "bad_data", error: "1:5: unexpected end\n  sum(\n      ^" }];
  await write(box.querySelector("textarea")!, "sum(");
  await press("Format");
  await settled(() => expect(box.textContent).toContain("It stays as it is: 1:5: unexpected end."));
  expect(texts()).toEqual(["sum("]);
});

test("a label of a row goes into its query, and what was typed meanwhile stays", async () => {
  answers["/api/v1/query"] = [200, { data: { resultType: "vector", result: [{ metric: { job: "web" }, value: [1, "1"] }] } }];
  history.replaceState(null, "", "/graphs/explore?expr=sum%20by%20(job)%20(up)");
  await render(<ExplorePage />);
  const web = (): HTMLElement | undefined => named("web");
  await settled(() => expect(web()).toBeDefined());
  await act(async () => web()!.click());
  expect(new URLSearchParams(location.search).getAll("expr")).toEqual(['sum by (job) (up{job="web"})']);
  await settled(() => expect(texts()).toEqual(['sum by (job) (up{job="web"})']));
  await write(box.querySelector("textarea")!, "max(up)");
  await settled(() => expect(web()).toBeDefined());
  await act(async () => web()!.click());
  expect(new URLSearchParams(location.search).getAll("expr")).toEqual(["max(up)", 'sum by (job) (up{job="web"})']);
});

test("the node that took most stands out, with each node's share", () => {
  const node = (ms: number): Parameters<typeof sharesOf>[0][number] => ({ depth: 0, operation: "x", expression: null, series: 0, chunks: 0, samples: 0, rows: 0, ms });
  expect(sharesOf([node(1), node(3), node(0)]).map(({ share, worst }) => [share, worst])).toEqual([[0.25, false], [0.75, true], [0, false]]);
  expect(sharesOf([node(0), node(0)]).map(({ share, worst }) => [share, worst])).toEqual([[0, false], [0, false]]);
  expect(sharesOf([node(5)])[0]).toMatchObject({ share: 1, worst: false });
  expect(sharesOf(Array.from({ length: 10 }, () => node(1))).some(({ worst }) => worst)).toBe(false);
});

test("a panel leads to Explore where it may, by a name of its own", async () => {
  answers["/api/v1/query"] = [200, { data: { resultType: "vector", result: [] } }];
  const panel = { title: "Busy", kind: "stat" as const, queries: [{ expr: "up" }] };
  const range = { fromMs: 0, toMs: 900_000, name: null, text: "" };
  await render(<PanelChart panel={panel} range={range} markers={[]} explore />);
  const link = box.querySelector("a");
  expect([link?.textContent, link?.getAttribute("aria-label"), link?.getAttribute("href")]).toEqual(["explore", "explore Busy", "/graphs/explore?expr=up&from=0&to=900000"]);
  await render(<PanelChart panel={panel} range={range} markers={[]} />);
  expect(box.querySelector("a")).toBeNull();
});

test("a press on a value keeps the order of its table, and whoever pressed it there", async () => {
  const vector = (...hosts: string[]): [number, object] => [200, { data: { resultType: "vector", result: hosts.map((host, at) => ({ metric: { host, job: "web" }, value: [1, String(at)] })) } }];
  answers["/api/v1/query"] = vector("a", "b", "c");
  history.replaceState(null, "", "/graphs/explore?expr=up");
  await render(<ExplorePage />);
  await settled(() => expect(named("Value")).toBeDefined());
  await press("Value");
  const rows = (): (string | null)[] => [...box.querySelectorAll("section:last-of-type tbody tr td:first-child")].map(({ textContent }) => textContent);
  expect(rows()).toEqual(["c", "b", "a"]);
  answers["/api/v1/query"] = vector("a", "b");
  let answer = (): void => undefined;
  const slow = new Promise<void>((done) => { answer = done; });
  const soon = fetch;
  vi.stubGlobal("fetch", vi.fn(async (request: Request | string) => {
    if (typeof request === "string" && request.startsWith("/api/v1/query?")) await slow;
    return soon(request);
  }));
  const web = [...box.querySelectorAll<HTMLElement>("td button")].find(({ title, textContent }) => textContent === "web" && title.includes("job"))!;
  // Of the row that is not in the next answer.
  const b = named("b")!;
  b.focus();
  await act(async () => b.click());
  expect(box.textContent).toContain("Loading…");
  expect(rows()).toEqual(["c", "b", "a"]);
  answer();
  await settled(() => expect(rows()).toEqual(["b", "a"]));
  expect(document.activeElement).toBe(b);
  expect(web.isConnected).toBe(false);
  expect([...box.querySelectorAll("th")].find(({ textContent }) => textContent?.startsWith("Value"))!.getAttribute("aria-sort")).toBe("descending");
  answers["/api/v1/query"] = vector();
  const a = named("a")!;
  a.focus();
  await act(async () => a.click());
  await settled(() => expect(box.textContent).toContain("No series matches."));
  expect(document.activeElement?.contains([...box.querySelectorAll("p")].find(({ textContent }) => textContent === "No series matches.")!)).toBe(true);
  expect(document.activeElement).not.toBe(document.body);
});

test("each question has a table of its own, and a narrowed one goes on in that of the one before", () => {
  const before = new Map([["up{a}", "up"], ["up{a,b}", "up"]]);
  expect(tablesOf(["up{a}", "down"], before)).toEqual(["up", "down"]);
  expect(tablesOf(["up{a,b}", "up{a}"], before)).toEqual(["up", "up{a}"]);
  expect(tablesOf(["up{a}", "up"], before)).toEqual(["up{a}", "up"]);
});

test("the same question is asked again when it is run again", async () => {
  answers["/api/v1/query"] = [200, { data: { resultType: "vector", result: [{ metric: { job: "web" }, value: [1, "1"] }] } }];
  history.replaceState(null, "", "/graphs/explore?expr=up&from=1700000000000&to=1700000060000");
  await render(<ExplorePage />);
  await settled(() => expect(named("web")).toBeDefined());
  answers["/api/v1/query"] = [200, { data: { resultType: "vector", result: [{ metric: { job: "late" }, value: [1, "1"] }] } }];
  await press("Run");
  await settled(() => expect(named("late")).toBeDefined());
});
