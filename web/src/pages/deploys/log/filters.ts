/** The deploy log's filters as they stand in the address and as the server is asked. */
import type { DeployQuery } from "../../../api/endpoints";
import { DAY_MS, MINUTE_MS } from "../../../lib/time";
import { deployLook, ENDED, RUNNING } from "../../../lib/status";
import type { Params } from "../../../router/router";

export const PAGE = 50;
/** The server's most for one answer; what is older has an address of its own. */
export const ROWS_MAX = 500;

/** Moving ranges; `between` has its own two instants. */
export const RANGES: { name: string; text: string; ms: number }[] = [
  { name: "24h", text: "last 24 h", ms: DAY_MS },
  { name: "7d", text: "last 7 d", ms: 7 * DAY_MS },
  { name: "30d", text: "last 30 d", ms: 30 * DAY_MS },
  { name: "90d", text: "last 90 d", ms: 90 * DAY_MS },
];
export const BETWEEN = "between";

export const STATES: { group: string; states: { name: string; text: string }[] }[] = [
  { group: "Not ended", states: [{ name: "running", text: "All that run or wait" }, ...RUNNING.map(named)] },
  { group: "Ended", states: ENDED.map(named) },
];

function named(name: string): { name: string; text: string } {
  return { name, text: deployLook(name)[1] };
}

/** What a person narrows the log by. `before` and `shown` say how far it was read, and go when a filter changes. */
export const NAMES = ["service", "environment", "state", "kind", "actor", "commit", "q", "range", "from", "to"] as const;
export type Name = (typeof NAMES)[number];
export type Filters = Record<Name, string> & { before: number | null; shown: number };

const whole = (text: string): number | null => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : null);
const instant = (text: string): string => (Number.isNaN(Date.parse(text)) ? "" : new Date(text).toISOString());

export function readFilters(params: Pick<Params, "get">): Filters {
  const text = Object.fromEntries(NAMES.map((name) => [name, params.get(name).trim()])) as Record<Name, string>;
  return {
    ...text,
    range: RANGES.some(({ name }) => name === text.range) || text.range === BETWEEN ? text.range : "",
    from: instant(text.from),
    to: instant(text.to),
    before: whole(params.get("before")),
    shown: Math.min(ROWS_MAX, Math.max(PAGE, whole(params.get("shown")) ?? PAGE)),
  };
}

export const isFiltered = (filters: Filters): boolean => NAMES.some((name) => filters[name] !== "");

/** `now` is rounded down, so that a moving range is the same question for a minute. */
export function toQuery(filters: Filters, now: number): DeployQuery {
  const { service, environment, state, kind, actor, commit, q, range, before, shown } = filters;
  const moving = RANGES.find(({ name }) => name === range);
  const times = moving
    ? { from: new Date(Math.floor(now / MINUTE_MS) * MINUTE_MS - moving.ms).toISOString() }
    : range === BETWEEN ? { from: filters.from, to: filters.to } : {};
  const all: DeployQuery = { service, environment, state, kind, actor, commit: commit.toLowerCase(), q, ...times, before, limit: shown };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== "" && value !== null)) as DeployQuery;
}

/** What the address becomes when one is set: reading begins at the newest again. */
export const changed = (name: Name, value: string): Record<string, string | null> => ({
  [name]: value,
  ...(name === "range" && value !== BETWEEN ? { from: null, to: null } : {}),
  before: null,
  shown: null,
});

/** Where the next rows are: more of this page while the server gives as many, then an address of what is older. */
export function older(filters: Filters, rows: number, next: number | null): Record<string, string | null> | null {
  if (next === null) return null;
  if (rows >= filters.shown && filters.shown < ROWS_MAX) return { shown: String(filters.shown + PAGE) };
  return { before: String(next), shown: null };
}
