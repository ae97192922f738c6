/** What of a graph is an alert's: which of its series, since its expression answers for all hosts, and what stretch of time. */
import type { Alert } from "../api/types";
import { RANGES } from "../charts/range";
import { MINUTE_MS } from "../lib/time";

type Labels = Record<string, unknown>;

/** Every label of the series is the alert's, which has further ones of its rule. */
const isOwn = (series: Labels, alert: Labels): boolean =>
  Object.entries(series).every(([name, value]) => name === "__name__" || alert[name] === value);

/** No label that both have differs: what an alert says of itself may be less than its series say. */
const mayBeOwn = (series: Labels, alert: Labels): boolean =>
  Object.entries(series).every(([name, value]) => name === "__name__" || !(name in alert) || alert[name] === value);

/** The series of an alert; all where none fits, as where a rule sets a label anew. */
export function ownSeries<T extends { labels: Labels }>(series: T[], alert: Labels): T[] {
  const own = series.filter(({ labels }) => isOwn(labels, alert));
  if (own.length > 0) return own;
  const perhaps = series.filter(({ labels }) => mayBeOwn(labels, alert));
  return perhaps.length > 0 ? perhaps : series;
}

/** Before what is looked at there is something to compare it with, at least so much. */
const BEFORE_MS_MIN = 10 * MINUTE_MS;

export interface Opening {
  /** A range that moves. */
  name?: string;
  /** One that does not, in milliseconds. */
  ends?: { from: number; to: number };
}

/** What the graph opens with: all of the alert and some time before, so that its beginning is seen; of one that is over, some time behind as well. */
export function openingOf({ active_since, resolved_at, state }: Pick<Alert, "active_since" | "resolved_at" | "state">, now: number): Opening {
  const began = Date.parse(active_since);
  const ended = state === "resolved" && resolved_at ? Date.parse(resolved_at) : now;
  const around = Math.max(BEFORE_MS_MIN, (ended - began) / 2);
  const moving = RANGES.find(({ ms }) => ms > BEFORE_MS_MIN && ms >= now - began + around);
  // What is over for longer than it lasted would be a small corner of what is drawn until now.
  if (ended + around < now) return { ends: { from: began - around, to: ended + around } };
  return { name: moving?.name ?? RANGES.at(-1)!.name };
}
