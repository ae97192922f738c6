/** A believable hour of the demo: photos on six hosts, one deploy at its canary, one alert, one incident. */
import { RAMPING, TRIPPED } from "./changes.ts";
import type { Alert, Commit, ConsoleMessage, Dashboard, Deploy, Flag, FlagExplanation, FlagPreview, FlagSummary, Host, Incident, Marker, Now, Person, RecordEvent, Schedule, SchedulePreview, ScheduleSpan, Service, Shares, Suspect, Swap } from "../src/api/types";

export const START = Date.now();
const MIN = 60_000;
export const ago = (ms: number): string => new Date(START - ms).toISOString();
const sha = (n: number): string => ((n * 2654435761) >>> 0).toString(16).padStart(8, "0").repeat(5);

export const PEOPLE: Person[] = [
  { login: "ana", name: "Ana", kind: "developer", timezone: "Europe/Berlin", role: "admin", teams: ["photos"], contact: { email: "ana@example.org", irc: "ana", webhook: "", channels: { slack: "https://hooks.slack.example/T0/B0", sms: "+4930123456" }, quiet: { from: "22:00", to: "07:00", channels: ["mail", "slack"] } } },
  { login: "raj", name: "Raj", kind: "operator", timezone: "Europe/London", role: "admin", teams: ["photos"], contact: { email: "raj@example.org", irc: "", webhook: "" } },
  { login: "mei", name: "Mei", kind: "developer", timezone: "Asia/Taipei", role: "deployer", teams: ["photos"], contact: { email: "", irc: "", webhook: "" } },
];

const MESSAGES = ["Cache thumbnails for a day", "Read uploads in 64 KiB pieces", "Log the size of refused uploads", "Show the album's owner", "Drop the old resize path", "Retry the store once on a timeout", "Put new_uploader behind its flag"];
export const commit = (n: number): Commit => ({ sha: sha(n), short: sha(n).slice(0, 7), author: ["ana", "mei", "raj"][n % 3]!, message: MESSAGES[n % MESSAGES.length]!, at: ago(n * 11 * MIN) });

const HOSTS = [1, 2, 3, 4, 5, 6].map((n) => `host-${n}`);
const STEPS = ["building", "staging", "canary", "promoting"];

export function deploy(number: number, state: string, startedMs: number, tookMs: number | null, extra: Partial<Deploy> = {}): Deploy {
  const who = ["ana", "mei", "raj"][number % 3]!;
  const reached = state === "canary" ? 2 : state === "promoting" ? 3 : state === "building" ? 0 : STEPS.length;
  const commits = [0, 1, 2].slice(0, 1 + (number % 3)).map((n) => commit(60 - number + n));
  return {
    number, service: "photos", environment: "production", state, kind: "deploy", from_sha: sha(number - 1), to_sha: sha(number), from_deploy: number - 1,
    commits, commit_count: commits.length, actor: { kind: "person", id: who }, actor_name: who, started_at: ago(startedMs),
    finished_at: tookMs === null ? null : ago(startedMs - tookMs), digest: sha(number + 900),
    removed: [], max_commits_exceeded: false, max_commits: 20, canary_steps: 1, canary_steps_passed: state === "succeeded" ? 1 : 0,
    steps: STEPS.slice(0, reached + 1).map((name, index) => ({
      name, state: index < reached ? "done" : "running",
      started_at: ago(startedMs - index * 9000), finished_at: index < reached ? ago(startedMs - (index + 1) * 9000) : null,
    })),
    hosts: HOSTS.map((host, index) => ({
      host, canary: index === 0,
      state: state === "canary" ? (index === 0 ? "checking" : "staged") : state === "succeeded" ? "healthy" : state === "rolled_back" ? "rolled_back" : "waiting",
      message: state === "canary" && index === 0 ? "5xx 0.2 %, p99 182 ms" : null, updated_at: ago(startedMs),
    })),
    ...extra,
  };
}

export const EXPECTS: NonNullable<Deploy["expects"]> = {
  metrics: [
    { query: "sum(rate(errors[5m]))", says: "sum(rate(errors[5m])) should stay within 20 %", outcome: null, before: null, after: null },
    { query: "sum(rate(thumbnails[5m]))", says: "sum(rate(thumbnails[5m])) should rise by 5 % (resized in one pass)", outcome: null, before: null, after: null },
  ],
  risks: ["the cache of thumbnails is cold at first"], signs: ["the queue of the resizer grows"], contingency: "switch new_resizer off, then roll back", after_s: 900, scored_at: null,
};
const scored = (): NonNullable<Deploy["expects"]> => ({
  ...EXPECTS, scored_at: ago(10 * MIN),
  metrics: EXPECTS.metrics.map((metric, index) => ({ ...metric, outcome: index === 0 ? "met" : "unknown", before: index === 0 ? 0.1234 : null, after: index === 0 ? 0.1301 : null })),
});
const APPROVAL: NonNullable<Deploy["approval"]> = { count: 1, by: ["ana", "raj"], teams: ["photos"], role: "deployer", four_eyes: true, given: [{ login: "ana", name: "Ana", at: ago(40_000) }], until: null };

export const DEPLOYS: Deploy[] = [
  deploy(41, "canary", 48_000, null, { canary_steps: 3, approval: APPROVAL, irreversible: "a column is dropped (migrations/014.sql changed)", expects: EXPECTS, overridden: "the shop is down" }),
  deploy(40, "succeeded", 9 * MIN, 52_000, { kind: "rollback", reverts: 39, reason: "5xx after 39", commits: [], commit_count: 2, from_deploy: 39 }),
  deploy(39, "rolled_back", 13 * MIN, 64_000, { expects: scored() }),
  ...Array.from({ length: 30 }, (_, index) => deploy(38 - index, index === 6 ? "failed" : "succeeded", (30 + index * 47) * MIN, 58_000 + index * 700, index === 6 ? { error: "The build ended with exit code 2: make: *** [Makefile:12: build] Error 2." } : {})),
];

export const SUSPECTS: Suspect[] = [
  { kind: "deploy", number: 39, text: "mei deployed photos 39 to production", at: ago(13 * MIN), seq: 204, actor_name: "mei", rollback: true },
  { kind: "flip", flag: "new_uploader", text: "ana set new_uploader to 50 % in production", at: ago(15 * MIN), seq: 201, actor_name: "ana", rollback: false },
];

export const ALERTS: Alert[] = [
  { fingerprint: "a1b2c3d4e5f60718", rule: "PhotosErrors", group: "photos", annotations: { links: "https://grafana.example.org/d/photos/photos?orgId=1&viewPanel=4&from=now-1h Grafana: errors of photos\nhttps://example.org/runbooks/photos-errors/what-to-look-at-first-when-uploads-answer-502-or-504" }, severity: "critical", state: "firing", labels: { alertname: "PhotosErrors", service: "photos", severity: "critical" }, flapping: { since: ago(26 * MIN), calm_at: ago(-7 * MIN), over_since: ago(90_000) }, further_incidents: [5], summary: "More than 2 % of photos requests fail", description: "Uploads answer 502. People see a broken page.", service: "photos", environment: "production", value: 0.061, active_since: ago(12 * MIN), fired_at: ago(11 * MIN), runbook_url: "https://example.org/runbooks/photos-errors", incident: 3, suspects: SUSPECTS, acknowledged_by: "raj", expr: 'sum(rate(http_requests_total{code=~"5.."}[1m])) / sum(rate(http_requests_total[1m])) > 0.02' },
  { fingerprint: "b2c3d4e5f6071829", rule: "PhotosSlow", group: "photos", annotations: {}, severity: "warning", state: "firing", labels: { alertname: "PhotosSlow", service: "photos", severity: "warning" }, summary: "p99 of photos is above 500 ms", service: "photos", environment: "production", value: 0.61, active_since: ago(14 * MIN), fired_at: ago(9 * MIN), suspects: [], expr: "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[1m]))) > 0.5" },
  { fingerprint: "c3d4e5f607182930", rule: "BackupHeartbeat", group: "backup", annotations: {}, severity: "warning", state: "unknown", labels: { alertname: "BackupHeartbeat" }, summary: "The nightly backup has not reported", service: null, value: null, active_since: ago(49 * MIN), suspects: [], expr: "time() - backup_last_success_seconds > 93600" },
  { fingerprint: "d4e5f60718293041", rule: "HostDown", group: "photos", annotations: {}, severity: "critical", state: "resolved", labels: { alertname: "HostDown", host: "host-4" }, summary: "host-4 does not answer", service: "photos", environment: "production", value: 0, active_since: ago(300 * MIN), fired_at: ago(299 * MIN), resolved_at: ago(291 * MIN), suspects: [], expr: "up == 0" },
];

export const HOST_LIST: Host[] = HOSTS.map((name, index): Host => ({
  name, environment: "production", labels: index === 0 ? { canary: "true" } : {}, state: index === 4 ? "disconnected" : "connected", last_seen: ago(index === 4 ? 190_000 : 2000), version: "0.1.0",
  releases: [{ service: "photos", environment: "production", sha: sha(index === 0 ? 41 : 38), deploy: index === 0 ? 41 : 40, digest: sha(7), state: index === 4 ? "unknown" : "running", since: ago(9 * MIN) }],
}));

export const SERVICES: Service[] = [{
  name: "photos", description: "Takes uploads, keeps albums.", repository: "/srv/git/photos.git", branch: "main", environments: ["production"], owner_team: "photos", policy: "photos",
  pipeline_path: ".tenfold/deploy.yaml", dependencies: [], current: { production: { sha: sha(38), deploy: 40, since: ago(9 * MIN) } },
}];

const steps14 = (): Schedule["next"] => Array.from({ length: 4 }, (_, index) => {
  const who = PEOPLE[index % 2]!;
  const from = index === 0 ? START - 3 * 86_400_000 : START + (index * 4 - 3) * 86_400_000;
  return { schedule: "photos-primary", person: { login: who.login, name: who.name, kind: who.kind }, since: new Date(from).toISOString(), until: new Date(START + ((index + 1) * 4 - 3) * 86_400_000).toISOString() };
});
export const SCHEDULES: Schedule[] = [{
  name: "photos-primary", timezone: "Europe/Berlin", plan: { timezone: "Europe/Berlin", rotation: { people: ["ana", "raj"], start: "2026-01-05T10:00:00", shift_length: "1w" }, min_rest_hours: 11, handoff: { digest: true, channel: "photos-room" } },
  layers: [{ name: "rotation", timezone: "Europe/Berlin", people: ["ana", "raj"], start: "2026-01-05T10:00:00", shift_length: "1w", handoff: "every week on Monday at 10:00 Europe/Berlin", restrictions: [] }], people: ["ana", "raj"], version: 1,
  overrides: [{ id: 1, kind: "replace", person: "mei", start: new Date(START + 26 * 3_600_000).toISOString(), end: new Date(START + 34 * 3_600_000).toISOString(), by: "ana" }],
  on_call: steps14()[0] ?? null, next: steps14(),
}];

const DAY = 86_400_000;
const span = (from: number, to: number, people: string[], more: Partial<ScheduleSpan> = {}): ScheduleSpan => ({
  since: new Date(START + from * DAY).toISOString(), until: new Date(START + to * DAY).toISOString(), people, shadows: [], secondary: null, layer: null, overrides: [],
  fallback: false, gap: people.length === 0, overlap: people.length > 1, ...more,
});
export const PREVIEW: SchedulePreview = {
  schedule: "photos-primary", from: new Date(START).toISOString(), to: new Date(START + 14 * DAY).toISOString(), gap_ms: DAY, overlap_ms: DAY, fallback_ms: 0, truncated: false,
  layers: [
    { name: "around the clock", spans: [span(0, 5, ["ana"]), span(5, 9, ["raj"]), span(10, 14, ["ana"])] },
    { name: "day", spans: [0, 1, 2, 3, 4].map((n) => span(n + 0.3, n + 0.7, ["mei"])) },
  ],
  spans: [span(0, 1, ["ana"]), span(1, 1.5, ["mei"], { overrides: [1] }), span(1.5, 5, ["ana"]), span(5, 8, ["raj"]), span(8, 9, ["raj", "mei"]), span(9, 10, []), span(10, 14, ["ana"])],
  short_rests: [{ person: "ana", from: new Date(START + DAY).toISOString(), to: new Date(START + 1.2 * DAY).toISOString(), min_rest_hours: 11 }],
};
const load = (index: number, hours: [number, number, number, number], pages: number, night_pages: number): Shares["people"][number] => {
  const { login, name, kind, timezone } = PEOPLE[index]!;
  const [total, night, weekend, holiday] = hours.map((hour) => hour * 3_600_000) as [number, number, number, number];
  return { person: { login, name, kind }, timezone, total_ms: total, night_ms: night, weekend_ms: weekend, holiday_ms: holiday, pages, night_pages };
};
export const SHARES: Shares = { schedule: "photos-primary", from: ago(84 * DAY), to: ago(0), people: [load(0, [1012, 380, 288, 24], 31, 9), load(1, [1004, 372, 290, 0], 18, 2)] };
export const SWAPS: Swap[] = [{
  id: 3, schedule: "photos-primary", state: "open", from: "raj", with: "ana", give_start: PREVIEW.spans[3]!.since, give_end: PREVIEW.spans[3]!.until,
  take_start: PREVIEW.spans[6]!.since, take_end: PREVIEW.spans[6]!.until,
}];

export const INCIDENTS: Incident[] = [
  { number: 4, title: "p99 of photos is above 500 ms", drill: false, severity: "warning", service: "photos", environment: "production", state: "open", opened_at: ago(2 * MIN), onset: ago(3 * MIN), opened_by: "tenfold", alerts: ["b2c3d4e5f6071829"], suspects: [], escalation: { policy: "photos", step: 1, steps: 2, round: 1, state: "waiting", next_at: new Date(START + 3 * MIN).toISOString(), waiting_for: ["Ana"] }, pages: [
    { id: "p3", incident: 4, step: 1, round: 1, person: "ana", person_name: "Ana", state: "delivered", attempts: [{ channel: "mail", state: "accepted", at: ago(2 * MIN) }, { channel: "web", state: "shown", at: ago(2 * MIN) }], due_at: ago(2 * MIN), delivered_at: ago(2 * MIN) },
  ] },
  { number: 3, title: "More than 2 % of photos requests fail", drill: false, severity: "critical", service: "photos", environment: "production", state: "acknowledged", opened_at: ago(11 * MIN), acknowledged_at: ago(10 * MIN), acknowledged_by: "raj", acknowledged_by_name: "Raj", onset: ago(12 * MIN), opened_by: "tenfold", alerts: ["a1b2c3d4e5f60718"], suspects: SUSPECTS, escalation: { policy: "photos", step: 2, steps: 2, round: 1, state: "acknowledged" }, pages: [
    { id: "p1", incident: 3, step: 1, round: 1, person: "ana", person_name: "Ana", state: "superseded", attempts: [{ channel: "mail", state: "accepted", at: ago(11 * MIN) }, { channel: "irc", state: "failed", at: ago(11 * MIN), error: "ana is not in #ops" }], due_at: ago(11 * MIN), delivered_at: ago(11 * MIN) },
    { id: "p2", incident: 3, step: 2, round: 1, person: "raj", person_name: "Raj", state: "acknowledged", attempts: [{ channel: "irc", state: "accepted", at: ago(10.5 * MIN) }], due_at: ago(10.5 * MIN), delivered_at: ago(10.5 * MIN) },
  ] },
  { number: 2, title: "host-4 does not answer", drill: false, severity: "critical", service: "photos", environment: "production", state: "resolved", opened_at: ago(299 * MIN), acknowledged_at: ago(298 * MIN), acknowledged_by: "ana", resolved_at: ago(291 * MIN), onset: ago(300 * MIN), opened_by: "tenfold", alerts: ["d4e5f60718293041"], suspects: [], escalation: null, pages: [] },
];

const flag = (key: string, description: string, kind: Flag["kind"], enabled: boolean, percent: number | null, extra: Partial<Flag["environments"][string]> = {}): Flag => ({
  key, version: 7, description, kind, owner: "ana", updated_at: ago(15 * MIN), updated_by: "ana", created_at: ago(9 * 86_400_000), expires_at: kind === "release" ? new Date(START + 20 * 86_400_000).toISOString() : null, value_type: "bool", archived: false, impression_data: false, dependencies: [],
  environments: { production: {
    enabled, rollout_percent: percent, variants: [], updated_at: ago(15 * MIN), updated_by: "ana", usage: { yes: 8123, no: 24_011, by_variant: {} },
    strategies: percent === null ? [{ name: "flexibleRollout", parameters: { rollout: "100", stickiness: "userId", groupId: key }, constraints: [{ contextName: "userId", operator: "IN", values: ["7", "42"] }], segments: [], variants: [] }] : [{ name: "flexibleRollout", parameters: { rollout: String(percent), stickiness: "default", groupId: key }, constraints: [], segments: [], variants: [] }],
    ...extra,
  } },
});
export const FLAGS: Flag[] = [
  flag("new_uploader", "Uploads in pieces, resumed after a break", "release", true, 50, { ramp: RAMPING }),
  flag("album_search", "Search inside an album", "release", true, 10, { ramp: { steps: [1, 10, 50, 100].map((percent) => ({ percent, hold_ms: 300_000 })), position: 1, next_at: new Date(START + 130_000).toISOString(), state: "running" } }),
  flag("no_thumbnails", "Serve originals when resizing is down", "kill_switch", false, 100, { ramp: TRIPPED }),
  flag("beta_print", "Printed albums for invited people", "permission", true, null),
  { ...flag("old_login", "The login before the rewrite", "release", true, 100), expires_at: ago(3 * 86_400_000) },
];

export const SEGMENTS = [{ id: 1, name: "beta testers", constraints: [{ contextName: "plan", operator: "IN", values: ["beta", "staff"], inverted: false, caseInsensitive: false }] }];

export const summaries = (archived: boolean): FlagSummary[] =>
  archived ? [] : FLAGS.map(({ key, project, description, kind, value_type, owner, updated_at, updated_by, expires_at, environments }) => ({
    key, project: project ?? "default", description, kind, value_type, owner, updated_at, updated_by, ...(expires_at ? { expires_at } : {}),
    environments: Object.fromEntries(Object.entries(environments).map(([name, state]) => [name, { enabled: state.enabled, ...(typeof state.rollout_percent === "number" ? { rollout_percent: state.rollout_percent } : {}), ramping: state.ramp?.state === "running", guarded: state.ramp?.state === "running" && Boolean(state.ramp.guard), asked: true }])),
  }));

/** One answer for every context: the shape, not the rules. */
export function preview(body: Record<string, unknown>): FlagPreview {
  const told = (bucket: number, percent: number): FlagExplanation => {
    const rule = { text: `userId \`42\` is in bucket ${bucket} of 100; ${percent} % are in`, holds: bucket <= percent };
    const answer = { enabled: rule.holds, variant: rule.holds ? "on" : "off", value: rule.holds, reason: "SPLIT" };
    return { answer, because: rule.holds ? `strategy 1 matches: ${rule.text}` : `the one strategy does not match: ${rule.text}`, switched_on: true, parents: [], strategies: [{ name: "flexibleRollout", holds: rule.holds, rule, constraints: [{ text: "country is one of DE, AT", found: "DE", holds: true }], segments: [] }], ...(rule.holds ? { matched: 0 } : {}) };
  };
  return { saved: told(37, 50), ...(body.edited ? { edited: told(37, 25) } : {}) };
}

export const MARKERS: Marker[] = [
  ...DEPLOYS.slice(1, 12).map((of): Marker => ({ seq: of.number * 5, at: of.finished_at ?? of.started_at, kind: of.kind === "rollback" ? "rollback" : "deploy", text: of.kind === "rollback" ? `Rollback ${of.number} of photos` : `Deploy ${of.number} of photos, ${of.commit_count} commits`, actor_name: of.actor_name, subject: {} })),
  { seq: 203, at: ago(12.8 * MIN), end_at: ago(12 * MIN), kind: "canary", text: "Canary of deploy 39 on host-1", actor_name: "mei", subject: {} },
  { seq: 210, at: ago(30_000), end_at: null, kind: "canary", text: "Canary of deploy 41 on host-1", actor_name: "raj", subject: {} },
  { seq: 201, at: ago(15 * MIN), kind: "flip", text: "new_uploader to 50 % in production", actor_name: "ana", subject: {} },
  { seq: 205, at: ago(11 * MIN), end_at: ago(7 * MIN), kind: "alert", text: "More than 2 % of photos requests fail", actor_name: "tenfold", subject: {} },
  { seq: 206, at: ago(11 * MIN), end_at: ago(6 * MIN), kind: "incident", text: "Incident 3: more than 2 % of photos requests fail", actor_name: "tenfold", subject: {} },
  { seq: 195, at: ago(24 * MIN), kind: "note", text: "doing: rebooting the cache host", actor_name: "raj", subject: {} },
];

const panel = (title: string, unit: string, expr: string, legend = ""): Dashboard["panels"][number] => ({ title, unit, queries: [{ expr, legend }], description: null });
export const DASHBOARDS: Dashboard[] = [{ name: "photos", title: "photos", service: "photos", panels: [
  panel("Requests", "ops", "requests", "{{code}}"), panel("5xx ratio", "ratio", "errors"), panel("Latency p50 p95 p99", "seconds", "latency", "{{quantile}}"),
  panel("Uploads", "ops", "uploads"), panel("CPU by host", "ratio", "cpu", "{{host}}"), panel("Memory by host", "bytes", "memory", "{{host}}"),
] }, { name: "edge", title: "Edge", range: "1h", folded: ["Hosts"], links: [{ title: "Photos", to: "/graphs/photos?var-job=$job", keeps_range: true }, { title: "Runbook", to: "https://example.org/edge" }], marks: [{ name: "Many errors", expr: "marked", title: "More than 5 % fail", tags: ["code"] }], variables: [{ name: "job", label: "job", multi: true, all: true }, { name: "window", values: ["5m", "1h"] }], panels: [
  { ...panel("Errors now", "ratio", "errors"), kind: "stat", reduce: "max", sparkline: true, words: [{ value: 0, text: "none" }, { nothing: true, text: "nobody asked" }] }, { ...panel("Memory of hosts", "bytes", "memory", "{{host}}"), kind: "top" }, { ...panel("CPU now", "ratio", "cpu", "{{host}}"), kind: "table" },
  { ...panel("Read me", "short", ""), kind: "text", queries: [], text: "# Edge\nWhat answers first: **load balancers** and `thumbnails`.\n\n- [The runbook](https://example.org/edge)\n- ask in `#web`" },
  { ...panel("Uploads without gaps", "ops", "gaps"), nulls: "connect", connect_max_ms: 120_000 },
  { ...panel("Of each host", "ratio", "cpu"), kind: "table", row: "Hosts", queries: [{ expr: "cpu" }, { expr: "memory" }], columns: [{ name: "host", title: "Host" }, { name: "value 2", title: "Memory", unit: "bytes" }, { name: "value", title: "CPU" }], sort: { by: "value", descending: true } },
  { ...panel("Time to answer", "seconds", "buckets"), kind: "heatmap", width: 3 }, { ...panel("Time to answer, native", "seconds", "native"), kind: "heatmap", width: 2, exemplars: true }, { ...panel("Slowest", "seconds", "latency", "{{quantile}}"), exemplars: true }, { ...panel("Requests by code", "ops", "requests", "{{code}}"), width: 2 },
] }];

let seq = 0;
export function event(kind: string, text: string, who: string, at: string, extra: Partial<RecordEvent> = {}): RecordEvent {
  seq += 1;
  return { seq, id: sha(seq), occurred_at: at, recorded_at: at, actor: { kind: who === "tenfold" ? "robot" : "person", id: who }, kind, subject: { service: "photos", environment: "production" }, severity: "info", text, data: { example: seq }, visibility: "everyone", source: who === "tenfold" ? "system" : "web", prev_hash: sha(seq).repeat(2).slice(0, 64), hash: sha(seq + 1).repeat(2).slice(0, 64), ...extra };
}
const of = (number: number): Partial<RecordEvent> => ({ subject: { service: "photos", environment: "production", deploy: number }, correlation: `deploy:${number}` });
export const EVENTS: RecordEvent[] = [
  ...DEPLOYS.slice(3).reverse().flatMap((done) => [
    event("deploy.queued", `${done.actor_name} deploys photos ${done.number} to production: ${done.commits[0]?.message ?? ""}`, done.actor_name, done.started_at, of(done.number)),
    done.state === "failed" ? event("deploy.failed", `Deploy ${done.number} of photos failed: the build ended with exit code 2`, "tenfold", done.finished_at!, { ...of(done.number), severity: "critical" }) : event("deploy.succeeded", `Deploy ${done.number} of photos runs on 6 hosts`, "tenfold", done.finished_at!, { ...of(done.number), severity: "good" }),
  ]),
  event("note.doing", "raj is rebooting the cache host", "raj", ago(24 * MIN), { source: "chat" }),
  event("flag.switched", "ana set new_uploader to 50 % in production", "ana", ago(15 * MIN), { subject: { flag: "new_uploader", environment: "production" }, correlation: "flag:new_uploader" }),
  event("deploy.queued", "mei deploys photos 39 to production: Read uploads in 64 KiB pieces", "mei", ago(13 * MIN), of(39)),
  event("deploy.succeeded", "Deploy 39 of photos runs on 6 hosts", "tenfold", ago(12 * MIN), { ...of(39), severity: "good" }),
  event("alert.fired", "More than 2 % of photos requests fail", "tenfold", ago(11 * MIN), { severity: "critical", subject: { service: "photos", alert: "a1b2c3d4e5f60718" } }),
  event("incident.opened", "Incident 3 is open: more than 2 % of photos requests fail", "tenfold", ago(11 * MIN), { severity: "critical", subject: { service: "photos", incident: 3 }, correlation: "incident:3" }),
  event("page.sent", "ana was paged for incident 3 by mail", "tenfold", ago(10.9 * MIN), { subject: { incident: 3 }, correlation: "incident:3" }),
  event("incident.acknowledged", "raj has incident 3", "raj", ago(10 * MIN), { subject: { incident: 3 }, correlation: "incident:3" }),
  event("deploy.rolled_back", "Deploy 39 of photos was rolled back by deploy 40", "raj", ago(8 * MIN), { ...of(40), severity: "warning" }),
  event("chat.message", "looks better already", "mei", ago(6 * MIN), { source: "chat" }),
  event("deploy.queued", "raj deploys photos 41 to production: Cache thumbnails for a day", "raj", ago(48_000), of(41)),
  event("deploy.canary_started", "Deploy 41 of photos is on its canary, host-1", "tenfold", ago(30_000), of(41)),
];

export const ROOM: ConsoleMessage[] = EVENTS.slice(-14).map((row) => ({ seq: row.seq, at: row.occurred_at, who: row.actor.id, name: row.actor.id, kind: row.kind === "chat.message" ? "message" : "announcement", text: row.text, severity: row.severity, room: "web" }));

const figure = (value: number | null, n: number, unit: string): Now["change_fail_rate"] => ({ value, n, unit, events: [62, 63, 60], open: 0 });
export function now(empty: boolean): Now {
  if (empty) return { at: new Date().toISOString(), on_call: [], deploys: { value: 0, n: 0, unit: "deploys", events: [], open: 0 }, last_deploy: null, deploys_today: 0, week: { deploys: 0, changes: 0, people: 0, sentence: "No deploy in the last 7 days." }, change_fail_rate: { value: null, n: 0, unit: "ratio", events: [], open: 0 }, recovery_ms: { value: null, n: 0, unit: "ms", events: [], open: 0 }, lead_time_ms: { value: null, n: 0, unit: "ms", events: [], open: 0 }, firing: { critical: 0, warning: 0, unknown: 0 }, troubles: [], running: [], alerts: [], alerts_more: 0, hosts: [], incidents: [] };
  return {
    at: new Date().toISOString(), on_call: [SCHEDULES[0]!.on_call!], deploys: figure(67, 67, "deploys"), last_deploy: DEPLOYS[1]!, deploys_today: 14, week: { deploys: 67, changes: 496, people: 3, sentence: "67 deploys of 496 changes by 3 people" },
    change_fail_rate: figure(0.0303, 66, "ratio"), recovery_ms: figure(312_000, 2, "ms"), lead_time_ms: figure(5_400_000, 67, "ms"),
    firing: { critical: 6, warning: 185, unknown: 1 }, troubles: [{ part: "chat", text: "irc is away: connection refused; announcements wait for it" }], running: DEPLOYS.filter(({ state }) => ["canary", "promoting"].includes(state)), alerts: ALERTS.filter(({ state }) => state !== "resolved"), alerts_more: 212, hosts: HOST_LIST, incidents: INCIDENTS,
  };
}
