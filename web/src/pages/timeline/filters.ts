/** The timeline's filters as they stand in the address, as the server is asked, and as a live row is judged. */
import type { Query } from "../../api/http";
import type { RecordEvent } from "../../api/types";
import { hasWords, searchWords } from "../../lib/search";
import { DAY_MS, HOUR_MS } from "../../lib/time";
import type { Params } from "../../router/router";

export const KINDS: { prefix: string; text: string }[] = [
  { prefix: "deploy.", text: "Deploys" },
  { prefix: "flag.", text: "Flags" },
  { prefix: "alert.", text: "Alerts" },
  { prefix: "incident.", text: "Incidents" },
  { prefix: "page.", text: "Pages" },
  { prefix: "host.", text: "Hosts" },
  { prefix: "chat.", text: "Chat" },
  { prefix: "note.", text: "Doing" },
  { prefix: "lock.", text: "Locks" },
  { prefix: "config.", text: "Config" },
  { prefix: "person.", text: "People" },
];

export const WINDOWS: { name: string; text: string; ms: number }[] = [
  { name: "1h", text: "1 h", ms: HOUR_MS },
  { name: "24h", text: "24 h", ms: DAY_MS },
  { name: "7d", text: "7 d", ms: 7 * DAY_MS },
  { name: "30d", text: "30 d", ms: 30 * DAY_MS },
];

export interface Filters {
  kinds: string[];
  service: string;
  actor: string;
  q: string;
  correlation: string;
  window: string;
  fromMs: number | null;
  toMs: number | null;
}

export function readFilters(params: Params, now: number): Filters {
  const window = params.get("window");
  const moving = WINDOWS.find(({ name }) => name === window);
  const from = Number(params.get("from"));
  const to = Number(params.get("to"));
  return {
    kinds: params.get("kind").split(",").filter(Boolean),
    service: params.get("service"),
    actor: params.get("actor"),
    q: params.get("q"),
    correlation: params.get("correlation"),
    window,
    fromMs: moving ? now - moving.ms : from > 0 ? from : null,
    toMs: moving ? null : to > 0 ? to : null,
  };
}

export function toQuery(filters: Filters): Query {
  return {
    kind: filters.kinds.join(","),
    service: filters.service,
    actor: filters.actor,
    q: filters.q,
    correlation: filters.correlation,
    from: filters.fromMs === null ? undefined : new Date(filters.fromMs).toISOString(),
    to: filters.toMs === null ? undefined : new Date(filters.toMs).toISOString(),
  };
}

export function accepts(filters: Filters, event: RecordEvent): boolean {
  if (filters.toMs !== null) return false;
  if (filters.kinds.length > 0 && !filters.kinds.some((kind) => event.kind.startsWith(kind))) return false;
  if (filters.service && event.subject.service !== filters.service) return false;
  if (filters.actor && event.actor.id !== filters.actor) return false;
  if (filters.correlation && event.correlation !== filters.correlation) return false;
  return hasWords(`${event.text} ${event.kind}`, searchWords(filters.q));
}
