/** Ramps with guards, scheduled changes, change requests and permits, for tests and screenshots. */
import type { FlagRequest, FlagSchedule, Guard, Permit, Ramp, RampPlan } from "../src/api/types.ts";

const MIN = 60_000;
const START = Date.now();
const at = (ms: number): string => new Date(START + ms).toISOString();

const GUARD: Guard = {
  expr: 'sum by (host) (rate(http_requests_total{service="photos", code=~"5.."}[1m]))\n  / sum by (host) (rate(http_requests_total{service="photos"}[1m]))',
  condition: { threshold: { op: "<", value: 0.02 } },
  for_ms: 30_000,
  interval_ms: 5_000,
  readings_min: 3,
  on_fail: "off",
};
const STEPS = [1, 5, 25, 100].map((percent) => ({ percent, hold_ms: 10 * MIN }));

export const RAMPING: Ramp = {
  plan: "careful", steps: STEPS, guard: GUARD, position: 1, next_at: at(4 * MIN), state: "running", started_by: "mei",
  watch: { good: 71, last: { kind: "good", value: 0.00412, series: 6 }, last_at: at(-2_000) },
};

export const TRIPPED: Ramp = {
  steps: STEPS, guard: GUARD, position: 2, state: "tripped", started_by: "mei", watch: { good: 12 },
  evidence: {
    expr: GUARD.expr, condition: GUARD.condition, good: 12, for_ms: 30_000, since: at(-13 * MIN - 30_000), at: at(-13 * MIN), percent: 25,
    reading: { kind: "failing", value: 0.1874, series: 6, worst: [{ labels: '{host="host-5"}', value: 0.1874 }, { labels: '{host="host-2"}', value: 0.0441 }] },
  },
};

export const PLANS: RampPlan[] = [
  { name: "careful", description: "For what people upload.", steps: STEPS, guard: GUARD },
  { name: "quick", steps: [{ percent: 10, hold_ms: 5 * MIN }, { percent: 100 }] },
];

const REQUESTER = "mei";
export const REQUESTS: FlagRequest[] = [
  {
    number: 12, flag: "new_uploader", environment: "production", action: { kind: "rollout", percent: 75 }, text: "set new_uploader to 75 % in production", author: REQUESTER,
    created_at: at(-22 * MIN), expires_at: at(6.9 * 86_400_000), before: { enabled: true, rollout_percent: 50 }, after: { enabled: true, rollout_percent: 75 }, outdated: false, state: "pending",
  },
  {
    number: 11, flag: "album_search", environment: "production", action: { kind: "switch", enabled: true }, text: "switch album_search on in production", author: "ana",
    created_at: at(-90 * MIN), expires_at: at(6.8 * 86_400_000), before: { enabled: false }, after: { enabled: true }, outdated: true, state: "pending",
  },
  {
    number: 10, flag: "old_login", environment: "production", action: { kind: "switch", enabled: true }, text: "switch old_login on in production", author: REQUESTER,
    created_at: at(-300 * MIN), expires_at: at(6 * 86_400_000), before: { enabled: false }, after: { enabled: true }, outdated: false, state: "rejected", ended_at: at(-280 * MIN), decided_by: "raj", reason: "not before the review",
  },
];

export const SCHEDULES: FlagSchedule[] = [
  { number: 4, flag: "new_uploader", environment: "production", at: at(14 * 3_600_000), action: { kind: "switch", enabled: true }, text: "switch new_uploader on in production", author: REQUESTER, created_at: at(-MIN), late_ms_max: 3_600_000, state: "pending" },
  { number: 3, flag: "new_uploader", environment: "production", at: at(-26 * 3_600_000), action: { kind: "rollout", percent: 50 }, text: "set new_uploader to 50 % in production", author: REQUESTER, created_at: at(-30 * 3_600_000), late_ms_max: 3_600_000, state: "missed", ended_at: at(-24 * 3_600_000), remark: "2 h late" },
];

const LAW = { query: 'histogram_quantile(0.95, sum by (le) (rate(db_query_seconds_bucket[30s])))', worse: "up" as const, limit: 0.05, resume: 0.04, floor: 0.02, ceiling: 1, fail_safe: 0.1, increase: 0.02, decrease: 0.8, interval_ms: 10_000, settle_ms: 60_000, grace_ms: 30_000 };
export const PERMITS: Permit[] = [
  { job: "resize-old", permit: 0.42, phase: "rising", law: { ...LAW, description: "Making old photos smaller, as much as the database bears.", environment: "production" }, state: { phase: "rising", value: 0.42, signal: 0.0312, trouble: "", evaluated_at: at(-3_000) } },
  { job: "reindex", permit: 0.02, phase: "falling", law: LAW, state: { phase: "falling", value: 0.02, signal: 0.0891, trouble: "", evaluated_at: at(-3_000) } },
  { job: "thumbnails", permit: 0.1, phase: "fail_safe", law: LAW, state: { phase: "fail_safe", value: 0.1, signal: null, trouble: "the query answers with no number", evaluated_at: at(-3_000) } },
];
