/** Targets of two jobs; it searches as the server does. */
import type { Target, TargetCounts, TargetList } from "../src/api/types.ts";
import { hasWords, searchWords } from "../src/lib/search.ts";
import { ago } from "./data.ts";

function target(job: string, n: number, health: Target["health"], error: string | null = null): Target {
  const instance = `127.0.0.1:90${n}0`;
  return {
    pool: job, job, instance, host: `host-${n}`, url: `http://${instance}/metrics`, labels: { job, instance, environment: "production" }, discovered: {}, interval_ms: 15_000, timeout_ms: 10_000,
    health, last_scrape: health === "unknown" ? null : ago(3_000), duration_ms: health === "unknown" ? null : 4 + n, samples: health === "up" ? 412 : 0, error,
  } as Target;
}

/** In the server's order. */
const TARGETS = [
  target("photos", 5, "down", "connection refused"), target("edge", 7, "unknown"),
  ...[8, 9].map((n) => target("edge", n, "up")), ...[1, 2, 3, 4, 6].map((n) => target("photos", n, "up")),
];

function counted(targets: Target[]): TargetCounts {
  const of = (health: string): number => targets.filter((one) => one.health === health).length;
  return { up: of("up"), down: of("down"), unknown: of("unknown") };
}

export function targetList(query: URLSearchParams, empty: boolean): TargetList {
  const [words, job, health] = [searchWords(query.get("q") ?? ""), query.get("job"), query.get("health")];
  const said = ({ url, host, error, labels }: Target): string => [url, host, error, ...Object.entries(labels).map(([name, value]) => `${name}=${value}`)].join("\n");
  const all = (empty ? [] : TARGETS).filter((one) => (!job || one.job === job) && hasWords(said(one), words));
  const jobs = ["photos", "edge"].map((name) => ({ job: name, counts: counted(all.filter((one) => one.job === name)) }));
  return { items: all.filter((one) => !health || one.health === health), counts: counted(all), jobs: jobs.filter(({ counts }) => counts.up + counts.down + counts.unknown > 0), jobs_left_out: 0 };
}
