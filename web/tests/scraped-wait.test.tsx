import type { ReactElement } from "react";
import { describe, expect, it, vi } from "vitest";
import { PanelChart } from "../src/charts/PanelChart";
import { asksRate, useScraped } from "../src/charts/scraped";
import { filled } from "../src/charts/variables";
import { mountEach, pass, render } from "./mount";

const FIXED = { fromMs: 0, toMs: 3_600_000, name: null, text: "" };
const JOBS = [{ job: "node", interval_ms: 60_000, targets: 2, others: [] }];
const answer = (body: unknown): Response => new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });

function Panel({ expr }: { expr: string }): ReactElement {
  const panel = { title: "A", kind: "table" as const, queries: [{ expr }] };
  const range = useScraped(FIXED, asksRate(panel));
  return <PanelChart panel={filled(panel, {}, range)} range={range} markers={[]} />;
}

const addressOf = (asked: Request | string): string => (typeof asked === "string" ? asked : new URL(asked.url).pathname);

/** What was asked, and what answers the question how often is scraped. */
function server(): { asked: () => string[]; tell: (jobs: unknown[]) => void; fails: () => void } {
  let settle: (response: Response) => void = () => undefined;
  const fetched = vi.fn((asked: Request | string, _how?: RequestInit) =>
    addressOf(asked) === "/api/metrics/intervals" ? new Promise<Response>((resolve) => (settle = resolve)) : Promise.resolve(answer({ status: "success", data: { resultType: "vector", result: [] } })));
  vi.stubGlobal("fetch", fetched);
  return {
    asked: () => fetched.mock.calls.map(([one]) => addressOf(one)).map((address) => (address === "/api/metrics/intervals" ? "intervals" : (new URLSearchParams(address.split("?")[1]).get("query") ?? address))),
    tell: (items) => settle(answer({ items, left_out: 0 })),
    fails: () => settle(new Response("{}", { status: 503 })),
  };
}

describe("queries that go by how often is scraped", () => {
  mountEach();

  it("are asked once, when that is known", async () => {
    vi.useFakeTimers();
    const { asked, tell } = server();
    await render(<Panel expr="rate(a[$__rate_interval])" />);
    await pass(500);
    expect(asked()).toEqual(["intervals"]);
    tell(JOBS);
    await pass(100);
    expect(asked()).toEqual(["intervals", "rate(a[240s])"]);
    await pass(2_000);
    expect(asked()).toHaveLength(2);
  });

  it("do not wait for long, and are asked again as it is told then", async () => {
    vi.useFakeTimers();
    const { asked, tell } = server();
    await render(<Panel expr="rate(a[$__rate_interval])" />);
    await pass(1_100);
    expect(asked()).toEqual(["intervals", "rate(a[60s])"]);
    tell(JOBS);
    await pass(100);
    expect(asked()).toEqual(["intervals", "rate(a[60s])", "rate(a[240s])"]);
  });

  it("do not wait for what failed", async () => {
    vi.useFakeTimers();
    const { asked, fails } = server();
    await render(<Panel expr="rate(a[$__rate_interval])" />);
    fails();
    await pass(100);
    expect(asked()).toEqual(["intervals", "rate(a[60s])"]);
  });

  it("are the only ones that ask for it", async () => {
    vi.useFakeTimers();
    const { asked } = server();
    await render(<Panel expr="rate(a[$__interval])" />);
    await pass(100);
    expect(asked()).toEqual(["rate(a[10s])"]);
  });
});
