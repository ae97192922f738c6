/** Deploys beyond the hour of photos: a fleet of three hundred, what would ship, who is kept out, how the log is asked. */
import { ago, commit, deploy, DEPLOYS, EXPECTS, SERVICES } from "./data.ts";
import type { Deploy, JudgeReport, Lock, NextDeploy } from "../src/api/types";

const MIN = 60_000;
const FLEET = 300;

/** Most are done, one batch is on its way, a few are in trouble. */
function host(index: number): Deploy["hosts"][number] {
  const bad: Record<number, [string, string]> = { 17: ["failed", "/healthz answered 503 for 20 s"], 93: ["failed", "/healthz answered 503 for 20 s"], 140: ["unreachable", "its agent is away for 31 s"], 188: ["failed", "no room: 412 MB are needed, 80 MB are free"] };
  const state = index < 200 ? "healthy" : index < 225 ? "checking" : "staged";
  const [is, message] = bad[index] ?? [state, null];
  return { host: `web-${String(index + 1).padStart(3, "0")}.eu`, canary: index < 6, state: is, message, updated_at: ago(9_000) };
}

const series = Array.from({ length: 24 }, (_, index) => ({ at_ms: Date.parse(ago(100_000)) + index * 4000, errors: Math.sin(index / 3) * 0.6 - 0.2, latency: index * 0.04, promote: index * 0.16 - 0.4,
  sides: {
    seen: { canary: { events: Math.round((index + 1) * 0.9), total: (index + 1) * 758 }, control: { events: (index + 1) * 43, total: (index + 1) * 37_100 } },
    ratio_low: 0.61 * (index / 23), ratio_high: index < 3 ? null : 1.42 + (23 - index) * 0.3,
  },
}));
const REPORT: JudgeReport = {
  verdict: "not_worse", seen: { canary: { events: 21, total: 18_204 }, control: { events: 1_030, total: 890_411 } }, ratio: 0.98, ratio_low: 0.61, ratio_high: 1.42, tolerated: 1.25,
  prove_below: 1.5, dispersion: 1.1, latency_alone: false, roll_back_at: Math.log(100), promote_at: Math.log(20), canary_requests_needed: 16_000, series,
};

DEPLOYS.unshift(deploy(42, "promoting", 4 * MIN, null, {
  service: "web", hosts: Array.from({ length: FLEET }, (_, index) => host(index)), canary_steps: 1, canary_steps_passed: 1,
  judged: { verdict: "not_worse", said: "not worse: 21 of 18,204 requests failed on the canary, 1,030 of 890,411 on the others", since: null, until: null, report: REPORT },
}));
/** Somebody stopped it at its canary; a host of the canary went away meanwhile. */
DEPLOYS.push(deploy(43, "held", 6 * MIN, null, {
  service: "web", environment: "staging", canary_steps: 3, canary_steps_passed: 1, reason: "the new cache", error: null, forward_of: 35,
  steps: ["building", "staging", "canary", "held"].map((name, index) => ({ name, state: name === "held" ? "running" : "done", started_at: ago((6 - index) * MIN), finished_at: name === "held" ? null : ago((5 - index) * MIN) })),
  hosts: [1, 2, 3, 4, 5, 6].map((n): Deploy["hosts"][number] => ({
    host: `stage-${n}.eu`, canary: n < 3, state: n < 3 ? "checking" : "staged", message: n === 1 ? "5xx 0.2 %, p99 182 ms" : null, updated_at: ago(MIN),
    ...(n === 2 ? { away_since: ago(95_000), unreachable_at: ago(-30 * MIN) } : {}),
  })),
  judged: { verdict: "watching", said: "watching: 21 of 18,204 requests failed on the canary, 1,030 of 890,411 on the others", since: ago(2 * MIN), until: ago(-8 * MIN), report: { ...REPORT, verdict: "watching" } },
}));
SERVICES.push({ ...SERVICES[0]!, name: "web", description: "The front page", environments: ["staging", "production"], current: { staging: { sha: commit(9).sha, deploy: 36, since: ago(90 * MIN) }, production: SERVICES[0]!.current.production! }, dependencies: ["photos"] });

const names = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, index) => `host-${from + index + 1}`);

export const next = (service: string, environment: string): NextDeploy => ({
  service, environment, current: { sha: SERVICES[0]!.current.production!.sha, deploy: 40, since: ago(9 * MIN) }, next: { ...commit(3) },
  added: [3, 4, 5, 6, 7, 8, 9].map(commit), added_count: 7, removed: service === "web" ? [commit(12)] : [], removed_count: service === "web" ? 1 : 0,
  warnings: ["These are 7 commits by 3 people; smaller deploys are easier to undo."], locked: null, running: service === "web" ? DEPLOYS.find((one) => one.service === "web" && one.environment === environment) ?? null : null, expected_ms: 58_000, hosts: names(0, 6),
  plan: [
    { name: "building", hosts: [], says: "node build.mjs, within 120 s" },
    { name: "staging", hosts: [names(0, 6)], says: "dist/** on each, within 300 s" },
    { name: "awaiting_approval", hosts: [], says: "2 people with the role deployer, within 24 h" },
    { name: "canary", hosts: [names(0, 1)], says: "/healthz answers within 20 s, watched for 60 s, judged by errors beside the others" },
    { name: "promoting", hosts: [names(1, 4), names(4, 6)], says: "3 at a time, at most 1 may fail or be away" },
  ],
  closed: { why: "outside its window Mon-Thu 08:00-17:00 Europe/Berlin", opens_at: new Date(Date.now() + 7_200_000).toISOString() },
  approval: { count: 2, by: [], teams: [], role: "deployer", four_eyes: true, given: [], until: null }, irreversible: "a column is dropped (migrations/014.sql changed)", expects: EXPECTS,
});

export const LOCKS: Lock[] = [
  { id: "l1", service: "photos", environment: "production", owner: "raj", owner_name: "Raj", reason: "the disks are being resized", kind: "lock", created_at: ago(20 * MIN), expires_at: new Date(Date.now() + 40 * MIN).toISOString() },
  { id: "l2", service: "*", environment: "production", owner: "mei", owner_name: "Mei", reason: "stocktaking", kind: "freeze", from: new Date(Date.now() + 900 * MIN).toISOString(), created_at: ago(200 * MIN), expires_at: new Date(Date.now() + 4000 * MIN).toISOString() },
  { id: "l3", service: "web", environment: "production", owner: "ana", owner_name: "Ana", reason: "the next release drops a column", kind: "pin", sha: commit(4).sha, created_at: ago(90 * MIN), expires_at: new Date(Date.now() + 800 * MIN).toISOString() },
];

const RUNS = ["queued", "building", "staging", "awaiting_approval", "canary", "promoting", "rolling_back", "held", "needs_human"];

/** The log as the server filters it. */
export function listed(query: URLSearchParams): { items: Deploy[]; next: number | null } {
  const get = (name: string): string => query.get(name) ?? "";
  const words = get("q").toLowerCase().split(/\s+/).filter(Boolean);
  const limit = Number(get("limit") || 50);
  const rows = DEPLOYS.filter((one) => {
    const said = [one.actor_name, one.reason, one.error, ...one.commits.flatMap(({ message, author }) => [message, author])].join("\n").toLowerCase();
    return (!get("service") || one.service === get("service")) && (!get("environment") || one.environment === get("environment"))
      && (!get("state") || one.state === get("state") || (get("state") === "running" && RUNS.includes(one.state))) && (!get("kind") || one.kind === get("kind"))
      && (!get("actor") || one.actor.id === get("actor")) && (!get("commit") || [one.to_sha, ...one.commits.map(({ sha }) => sha)].some((sha) => sha.startsWith(get("commit"))))
      && words.every((word) => said.includes(word)) && (!get("from") || one.started_at >= get("from")) && (!get("to") || one.started_at < get("to"))
      && (!get("before") || one.number < Number(get("before")));
  });
  const items = rows.slice(0, limit);
  return { items, next: items.length === limit ? items.at(-1)!.number : null };
}
