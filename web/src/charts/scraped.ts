/** How often what a query reads is scraped: `$__rate_interval` has to hold some of its samples, and `$__interval` one. */
import { useEffect, useMemo, useState } from "react";
import { graphs } from "../api/endpoints";
import type { JobInterval } from "../api/types";
import { useQuery } from "../api/useQuery";
import type { Range } from "./range";

/** What nobody scrapes, or what is not known. */
const SCRAPE_S = 15;
/** A rate over two samples knows of no third that did not come. */
const SCRAPES_MIN = 4;
/** So long at most queries wait for it to be known. */
const WAIT_MS = 1_000;

export const RATE = /\$(?:\{__rate_interval\}|__rate_interval\b)/g;

export const INTERVAL = /\$(?:\{__interval(_ms)?\}|__interval(_ms)?\b)/g;

/** Whether it stands in a query, or anywhere in what has queries. */
export const asksRate = (of: unknown): boolean => (JSON.stringify(of) ?? "").search(RATE) >= 0;

/** The same of an interval, which is right without it where samples are not far apart: nothing waits for it. */
export const asksInterval = (of: unknown): boolean => (JSON.stringify(of) ?? "").search(INTERVAL) >= 0;

/** Whether queries have to wait, since it is not known yet what they ask for. */
export const waits = (exprs: string[], range: Range): boolean => range.waits === true && exprs.some(asksRate);

const MATCHERS = /\b(job|instance)\s*(=~|=)\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/g;

const plain = (quoted: string): string =>
  quoted.replace(/\\x([0-9a-fA-F]{2})|\\(.)/g, (_, hex: string | undefined, one: string | undefined) => (hex ? String.fromCharCode(parseInt(hex, 16)) : (one ?? "")));

type Fits = (value: string) => boolean;

function fitting(sign: string, value: string): Fits {
  if (sign === "=") return (one) => one === value;
  try {
    const whole = new RegExp(`^(?:${value})$`);
    return (one) => whole.test(one);
  } catch {
    return () => true;
  }
}

interface Counted {
  interval_ms: number;
  targets: number;
}

/** What most of them have; of two that are as many the longer, in seconds. */
function usual(some: Counted[]): number | null {
  const counted = new Map<number, number>();
  for (const { interval_ms, targets } of some) counted.set(interval_ms, (counted.get(interval_ms) ?? 0) + targets);
  const [first] = [...counted].sort(([a, of], [b, others]) => others - of || b - a);
  return first ? first[0] / 1000 : null;
}

const singly = (others: JobInterval["others"]): Counted[] => others.map(({ interval_ms }) => ({ interval_ms, targets: 1 }));
const allOf = (jobs: JobInterval[]): Counted[] => jobs.flatMap((job) => [job, ...singly(job.others)]);

/**
 * Seconds between the samples of those targets whose job and instance an expression names, else of all. Of a job's instances only those are
 * known that are not scraped as most of them are.
 */
export function scrapedEvery(expr: string, scraped: JobInterval[]): number {
  const wanted: Record<string, Fits[]> = { job: [], instance: [] };
  const instances = new Set<string | null>();
  for (const [, label = "", sign = "", double, single] of expr.matchAll(MATCHERS)) {
    const value = plain(double ?? single ?? "");
    wanted[label]?.push(fitting(sign, value));
    // A regular expression may take any number of them.
    if (label === "instance") instances.add(sign === "=" ? value : null);
  }
  const isOf = (label: "job" | "instance", value: string): boolean => wanted[label]!.length === 0 || wanted[label]!.some((fits) => fits(value));
  const jobs = scraped.filter(({ job }) => isOf("job", job));
  const others = jobs.flatMap((job) => job.others.filter(({ instance }) => isOf("instance", instance)));
  const known = new Set<string | null>(others.map(({ instance }) => instance));
  const alone = instances.size > 0 && [...instances].every((instance) => known.has(instance));
  return usual(alone ? singly(others) : [...jobs, ...singly(others)]) ?? usual(allOf(scraped)) ?? SCRAPE_S;
}

/** Grafana's rule: four scrapes, or a step and a scrape when that is longer. In seconds. */
export function rateInterval(expr: string, step: number, scraped: JobInterval[] = []): number {
  const every = scrapedEvery(expr, scraped);
  return Math.ceil(Math.max(step + every, SCRAPES_MIN * every));
}

/** The range with what is scraped, where it is wanted: for queries that are filled in. They wait a little for the first answer. */
export function useScraped(range: Range, wanted: boolean): Range {
  const { data, error } = useQuery(wanted ? "intervals" : null, graphs.intervals, { touches: ["host.", "config."] });
  const [late, setLate] = useState(false);
  const unknown = wanted && !data && !error && !late;
  useEffect(() => {
    if (!unknown) return undefined;
    const timer = window.setTimeout(() => setLate(true), WAIT_MS);
    return () => window.clearTimeout(timer);
  }, [unknown]);
  // It is asked for again and again, mostly with the same answer: the queries stay as they are then.
  const words = useMemo(() => JSON.stringify(data?.items ?? []), [data]);
  const scraped = useMemo(() => JSON.parse(words) as JobInterval[], [words]);
  return useMemo(() => ({ ...range, scraped, ...(unknown ? { waits: true } : {}) }), [range, scraped, unknown]);
}
