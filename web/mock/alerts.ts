/** Alerts as they are listed: the few of photos, and a storm over the fleet of web. What rules lack, what they cost, and whom an alert would page. */
import type { Alert, AlertCounts, AlertPage, RefusedRequest, RuleDraft, RuleDrafts, RuleFileChanged, RuleGroup, TeamNoise, WhyNot } from "../src/api/types.ts";
import { ago, ALERTS } from "./data.ts";

const MIN = 60_000;
const DAY = 86_400_000;
const STORM = 212;

function ofHost(index: number): Alert {
  const host = `web-${String(index + 1).padStart(3, "0")}.eu`;
  const state = index % 9 === 8 ? "pending" : "firing";
  return {
    fingerprint: `e5f60718${String(index).padStart(8, "0")}`, rule: "WebSlow", group: "web", annotations: {}, severity: index % 40 === 0 ? "critical" : "warning", state,
    labels: { alertname: "WebSlow", service: "web", host, severity: "warning" }, summary: `p99 of ${host} is above 2 s`, service: "web", environment: "production", value: 2.1 + (index % 7) / 10,
    active_since: ago((4 + index / 60) * MIN), ...(state === "firing" ? { fired_at: ago((3 + index / 60) * MIN) } : {}), suspects: [], expr: `host_p99_seconds{host="${host}"} > 2`,
    ...(state === "firing" && index % 12 === 5 ? { flapping: { since: ago(31 * MIN), calm_at: ago(-9 * MIN), ...(index % 24 === 5 ? { over_since: ago(MIN) } : {}) } } : {}),
    ...(index % 15 === 3 ? { muted_by: 1 } : {}),
  };
}

/** What is drawn of it: the side of its rule that is compared, and what with. */
function drawn(alert: Alert): Alert {
  const [expr = "", threshold] = alert.expr.split(" > ");
  return threshold === undefined ? alert : { ...alert, graph: { expr, threshold: Number(threshold) } };
}

export const ALL: Alert[] = [...ALERTS, ...Array.from({ length: STORM }, (_, index) => ofHost(index))].map(drawn);

export const REFUSED: RefusedRequest[] = [
  { id: 12, at: ago(41 * MIN), refused_at: ago(9 * MIN), tries: 12, why: "the store is broken", alerts: ["PhotosSlow", "QueueFull"], total: 2 },
];

const URGENCY = ["critical", "warning", "info"];

function counts(alerts: Alert[]): AlertCounts[] {
  return [...new Set(alerts.map(({ service }) => service ?? null))].map((service): AlertCounts => {
    const own = alerts.filter((alert) => (alert.service ?? null) === service);
    const of = (state: string): number => own.filter((alert) => alert.state === state).length;
    const live = own.filter(({ state }) => state === "firing" || state === "unknown");
    return { service, firing: of("firing"), unknown: of("unknown"), pending: of("pending"), resolved: of("resolved"), worst: URGENCY.find((severity) => live.some((alert) => alert.severity === severity)) ?? null };
  });
}

/** A page of them as the server makes it: with `per_service`, so many of each service in each state. */
export function listed(query: URLSearchParams, empty: boolean): AlertPage {
  const service = query.get("service");
  const asked = empty ? [] : ALL.filter((alert) => service === null || (alert.service ?? "") === service);
  const most = Number(query.get("per_service") ?? 0);
  const seen = new Map<string, number>();
  const items = asked.filter(({ service: of, state }) => {
    const key = `${of ?? ""} ${state}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
    return most === 0 || seen.get(key)! <= most;
  });
  return { items: items.slice(0, Number(query.get("limit") ?? 500)), counts: counts(asked) };
}

const LACKS: Record<string, RuleGroup["rules"][number]["findings"]> = {
  PhotosErrors: [{ check: "owner", message: "no service label, so nobody owns it and no policy is found for it", line: 4 }],
  HostDown: [
    { check: "runbook", message: "it pages and has no runbook_url: whoever wakes does not know where to begin", line: 31 },
    { check: "duplicate", message: "the same expression as TargetDown of hosts.yaml, so one trouble rings twice", line: 31 },
  ],
};
export const RULES: RuleGroup[] = [{
  name: "photos", interval_ms: 5000, limit: 0, last_evaluation: ago(2000), file: "photos", took_ms: 2,
  rules: [
    ...ALERTS.map((alert) => ({
      name: alert.rule, kind: "alerting", health: "ok", expr: alert.expr, for_ms: 60_000, keep_firing_for_ms: 0, labels: { severity: alert.severity }, annotations: {}, took_ms: 1, series: 1,
      state: alert.state === "resolved" ? "inactive" : alert.state, last_evaluation: ago(2000), alerts: [], alerts_total: 0, findings: LACKS[alert.rule] ?? [],
    })),
    {
      name: "WebSlow", kind: "alerting", health: "ok", expr: "host_p99_seconds > 2", for_ms: 60_000, keep_firing_for_ms: 0, labels: { severity: "warning" }, annotations: {}, took_ms: 4, series: 300, state: "firing", last_evaluation: ago(2000), findings: [],
      alerts_total: ALL.length - ALERTS.length,
      alerts: ALL.slice(ALERTS.length).map(({ fingerprint, state, labels, value, active_since }) => ({ fingerprint, state, labels, annotations: {}, value: String(value), active_since })),
    },
  ],
}];

export const NOISE: TeamNoise[] = [{ team: "web", cost: 31, rules: [
  { rule: "HighErrorRate", group: "photos", file: "photos", severity: "critical", incidents: 6, pages: 13, wakes: 5, cost: 28, action: 1, no_action: 4, unsaid: 1, kinds: { threshold: 4, action: 1 } },
  { rule: "nightly", group: "/received", file: "", severity: "warning", incidents: 2, pages: 3, wakes: 0, cost: 3, action: 0, no_action: 0, unsaid: 2, kinds: {} },
] }, { team: "", cost: 1, rules: [{ rule: "DiskFull", group: "hosts", file: "hosts", severity: "critical", incidents: 1, pages: 1, wakes: 0, cost: 1, action: 1, no_action: 0, unsaid: 0, kinds: { action: 1 } }] }];

const EXPR = 'sum by (service) (rate(http_requests_total{code=~"5.."}[1m])) / sum by (service) (rate(http_requests_total[1m])) > ';
const draft = (change: string, held: string, threshold: string, fires: number, missed: number[], diff: string): RuleDraft => ({ change, expr: EXPR + threshold, for: held, fires, missed, diff });
const FOR_DIFF = "@@ line 5 @@\n       - alert: HighErrorRate\n         expr: |\n           errors_of_photos > 0.05\n-        for: 10s\n+        for: 5m\n         labels:\n           severity: critical\n";
export const DRAFTS: RuleDrafts = {
  rule: "HighErrorRate", file: "photos", version: "9f2c", from: ago(7 * DAY), to: ago(0), step_ms: 60_480, now: draft("", "10s", "0.05", 14, [], ""),
  drafts: [draft("for: 5m", "5m", "0.05", 3, [], FOR_DIFF), draft(`expr: ${EXPR}0.075`, "10s", "0.075", 1, [3, 12, 14], "")],
};
export const PUT: RuleFileChanged = { file: "photos", version: "a03d", diff: FOR_DIFF, text: "Ana made HighErrorRate quieter, by `for: 5m`" };

/** Whether it would page: whoever is on call is, the others are told why not. */
export const whyNot = (person: string): WhyNot => ({
  person, person_name: person[0]!.toUpperCase() + person.slice(1), pages: person === "raj", foretold: { labels: {}, at: ago(0), firing: true, explanation: {}, notifications: [], pages: true, further: [] },
  ...(person === "raj" ? { at: ago(-5 * MIN) } : {}), ways: person === "raj" ? [{ channel: "irc", at: ago(-5 * MIN) }, { channel: "sms", at: ago(-6 * MIN) }] : [],
  because: person === "raj" ? "step 2 of the policy photos pages them" : "ana is not on call in photos-primary before step 2, and no step names her",
  reasons: person === "raj"
    ? [{ stage: "step", because: "step 2 of photos begins 5 min after the incident, if nobody acknowledged" }, { stage: "person", because: "it names raj" }]
    : [{ stage: "schedule", because: "photos-primary has mei until Monday 10:00, by an override" }, { stage: "quiet", because: "her quiet hours are 22:00 to 07:00 Europe/Berlin, for mail and slack" }],
});

export function counted(groups: RuleGroup[]): { firing: number; unknown: number; pending: number; inactive: number; error: number } {
  const rules = groups.flatMap((group) => group.rules);
  const of = (state: string): number => rules.filter((rule) => rule.health === "ok" && (rule.state ?? "inactive") === state).length;
  return { firing: of("firing"), unknown: of("unknown"), pending: of("pending"), inactive: of("inactive"), error: rules.filter((rule) => rule.health !== "ok").length };
}
