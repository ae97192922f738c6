/** Every call the pages make, by name. The pages use the public API and nothing else. */
import { client, unwrap } from "./client";
import { given } from "./http";
import type { paths } from "./schema";
import type * as T from "./types";

const { GET, POST, PUT, DELETE } = client;

type QueryOf<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } } ? NonNullable<Q> : never;
export type EventQuery = QueryOf<"/api/events">;
export type DeployQuery = QueryOf<"/api/deploys">;
export type AlertQuery = QueryOf<"/api/alerts">;
export type MarkerQuery = QueryOf<"/api/markers">;
export type TargetQuery = QueryOf<"/api/targets">;

export type RampMove = "pause" | "resume" | "skip" | "back" | "extend" | "stop";

const ROWS_MAX = 100;

export const session = {
  get: () => unwrap(GET("/api/session")),
  signIn: (login: string, password: string) => unwrap(POST("/api/session", { body: { login, password } })),
  signOut: () => unwrap(DELETE("/api/session")),
  setup: (body: { token: string; login: string; name: string; password: string }) => unwrap(POST("/api/setup", { body })),
};

export const people = {
  list: () => unwrap(GET("/api/people")),
  put: (login: string, body: T.PersonUpdate) => unwrap(PUT("/api/people/{login}", { params: { path: { login } }, body })),
  teams: () => unwrap(GET("/api/teams")),
  testPage: (login: string) => unwrap(POST("/api/people/{login}/test-page", { params: { path: { login } } })),
};

export const browsers = {
  list: () => unwrap(GET("/api/browsers")),
  put: (body: T.NewBrowser) => unwrap(POST("/api/browsers", { body })),
  remove: (id: string) => unwrap(DELETE("/api/browsers/{id}", { params: { path: { id } } })),
  test: (id: string) => unwrap(POST("/api/browsers/{id}/test", { params: { path: { id } } })),
};

export const tokens = {
  list: () => unwrap(GET("/api/tokens")),
  create: (body: T.NewToken) => unwrap(POST("/api/tokens", { body })),
  revoke: (id: string) => unwrap(DELETE("/api/tokens/{id}", { params: { path: { id } } })),
};

export const places = {
  environments: () => unwrap(GET("/api/environments")),
  addEnvironment: (name: string) => unwrap(POST("/api/environments", { body: { name } })),
  putEnvironment: (name: string, four_eyes: boolean) => unwrap(PUT("/api/environments/{name}", { params: { path: { name } }, body: { four_eyes } })),
  projects: () => unwrap(GET("/api/flag-projects")),
  putProject: (name: string, description: string) => unwrap(PUT("/api/flag-projects/{name}", { params: { path: { name } }, body: { description } })),
  deleteProject: (name: string) => unwrap(DELETE("/api/flag-projects/{name}", { params: { path: { name } } })),
};

export const record = {
  list: (query: EventQuery) => unwrap(GET("/api/events", { params: { query: given(query) } })),
  verify: () => unwrap(GET("/api/events/verify")),
  now: () => unwrap(GET("/api/now")),
  /** Exactly the rows with these numbers. */
  rows: async (seqs: number[]): Promise<T.RecordEvent[]> => {
    const seq = [...new Set(seqs)].slice(0, ROWS_MAX).join(",");
    return (await unwrap(GET("/api/events", { params: { query: { seq, limit: ROWS_MAX } } }))).items;
  },
};

export const services = {
  list: () => unwrap(GET("/api/services")) as Promise<T.Items<T.Service>>,
  next: (name: string, environment: string, ref?: string) => unwrap(GET("/api/services/{name}/next", { params: { path: { name }, query: given({ environment, ref }) } })),
  hosts: () => unwrap(GET("/api/hosts")),
};

const because = (reason = ""): { reason?: string } => (reason.trim() ? { reason: reason.trim() } : {});

export const deploys = {
  list: (query: DeployQuery) => unwrap(GET("/api/deploys", { params: { query: given(query) } })),
  get: (number: number) => unwrap(GET("/api/deploys/{number}", { params: { path: { number } } })),
  start: (service: string, environment: string, more: { reason?: string; override?: string } = {}) => unwrap(POST("/api/deploys", { body: { service, environment, ...more } })),
  /** Over what was taken back. */
  forward: (service: string, environment: string, reason?: string) => unwrap(POST("/api/services/{name}/forward", { params: { path: { name: service } }, body: { environment, again: false, ...because(reason) } })),
  rollback: (number: number, reason?: string) => unwrap(POST("/api/deploys/{number}/rollback", { params: { path: { number } }, body: because(reason) })),
  cancel: (number: number, reason?: string) => unwrap(POST("/api/deploys/{number}/cancel", { params: { path: { number } }, body: because(reason) })),
  retry: (number: number) => unwrap(POST("/api/deploys/{number}/retry", { params: { path: { number } } })),
  promote: (number: number, reason?: string) => unwrap(POST("/api/deploys/{number}/promote", { params: { path: { number } }, body: because(reason) })),
  hold: (number: number, reason?: string) => unwrap(POST("/api/deploys/{number}/hold", { params: { path: { number } }, body: because(reason) })),
  abort: (number: number, reason?: string) => unwrap(POST("/api/deploys/{number}/abort", { params: { path: { number } }, body: because(reason) })),
  approve: (number: number) => unwrap(POST("/api/deploys/{number}/approve", { params: { path: { number } } })),
  queues: () => unwrap(GET("/api/queues")),
  /** Deploys, or waits for its turn. */
  ask: (service: string, environment: string) => unwrap(POST("/api/queues", { body: { service, environment } })),
  sayToQueue: (service: string, environment: string, word: T.QueueWord, of?: string) =>
    unwrap(POST("/api/queues/{service}/{environment}", { params: { path: { service, environment } }, body: { word, ...(of ? { of } : {}) } })),
  trains: () => unwrap(GET("/api/trains")),
  say: (service: string, environment: string, word: T.TrainWord, reason?: string) =>
    unwrap(POST("/api/trains/{service}/{environment}", { params: { path: { service, environment } }, body: { word, ...(reason ? { reason } : {}) } })),
  declared: (service: string, environment: string) => unwrap(GET("/api/trains/{service}/{environment}/graphs", { params: { path: { service, environment } } })),
  /** They were seen. */
  look: (service: string, environment: string) => unwrap(POST("/api/trains/{service}/{environment}/graphs", { params: { path: { service, environment } } })),
  locks: () => unwrap(GET("/api/locks")),
  lock: (body: T.NewLock) => unwrap(POST("/api/locks", { body })),
  unlock: (id: string) => unwrap(DELETE("/api/locks/{id}", { params: { path: { id } } })),
};

export const graphs = {
  dashboards: () => unwrap(GET("/api/dashboards")),
  markers: (query: MarkerQuery) => unwrap(GET("/api/markers", { params: { query: given(query) } })),
  targets: (query: TargetQuery) => unwrap(GET("/api/targets", { params: { query } })),
  intervals: () => unwrap(GET("/api/metrics/intervals")),
  /** With a version, refused when the dashboard is at another one. */
  put: (body: T.Dashboard, version?: number) =>
    unwrap(PUT("/api/dashboards/{name}", { params: { path: { name: body.name }, header: version === undefined ? {} : { "if-match": `"${version}"` } }, body })),
  create: (body: T.Dashboard) => unwrap(PUT("/api/dashboards/{name}", { params: { path: { name: body.name }, header: { "if-none-match": "*" } }, body })),
  remove: (name: string, version?: number) =>
    unwrap(DELETE("/api/dashboards/{name}", { params: { path: { name }, header: version === undefined ? {} : { "if-match": `"${version}"` } } })),
  importDashboard: (document: Record<string, unknown>, dry_run: boolean) => unwrap(POST("/api/dashboards/import", { body: { document, dry_run } })),
  cardinality: () => unwrap(GET("/api/metrics/cardinality", { params: { query: {} } })),
  metricNames: (words: string, unnamed: boolean) => unwrap(GET("/api/metrics/names", { params: { query: given({ words, unnamed: unnamed || undefined }) } })),
  sources: () => unwrap(GET("/api/metrics/sources")),
  store: () => unwrap(GET("/api/metrics/store")),
  deleteSeries: (selector: string, end: string | null, dry_run: boolean) => unwrap(POST("/api/metrics/delete", { body: { selectors: [selector], end, dry_run } })),
};

export const flags = {
  list: () => unwrap(GET("/api/flags")),
  summaries: (archived: boolean) => unwrap(GET("/api/flag-summaries", { params: { query: given({ archived: archived || undefined }) } })),
  get: (key: string) => unwrap(GET("/api/flags/{key}", { params: { path: { key } } })),
  /** With a version, refused when the flag is at another one. */
  put: (key: string, body: T.FlagUpdate, version?: number) =>
    unwrap(PUT("/api/flags/{key}", { params: { path: { key }, header: version === undefined ? {} : { "if-match": `"${version}"` } }, body })),
  create: (key: string, body: T.FlagUpdate) => unwrap(PUT("/api/flags/{key}", { params: { path: { key }, header: { "if-none-match": "*" } }, body })),
  preview: (key: string, body: T.FlagPreviewQuestion) => unwrap(POST("/api/flags/{key}/preview", { params: { path: { key } }, body })),
  segments: () => unwrap(GET("/api/segments")),
  putSegment: (id: number, body: { name: string; constraints: T.FlagConstraint[] }) => unwrap(PUT("/api/segments/{id}", { params: { path: { id } }, body })),
  removeSegment: (id: number) => unwrap(DELETE("/api/segments/{id}", { params: { path: { id } } })),
  archive: (key: string) => unwrap(DELETE("/api/flags/{key}", { params: { path: { key } } })),
  switch: (key: string, environment: string, enabled: boolean, reason = "") =>
    unwrap(POST("/api/flags/{key}/switch", { params: { path: { key } }, body: { environment, enabled, ...(reason.trim() ? { reason } : {}) } })),
  rollout: (key: string, environment: string, percent: number) =>
    unwrap(POST("/api/flags/{key}/rollout", { params: { path: { key } }, body: { environment, percent } })),
  ramp: (key: string, body: T.RampStartBody) => unwrap(POST("/api/flags/{key}/ramp", { params: { path: { key } }, body })),
  moveRamp: (key: string, environment: string, move: RampMove, by_ms?: number) =>
    unwrap(POST("/api/flags/{key}/ramp/move", { params: { path: { key } }, body: { environment, move, ...(by_ms ? { by_ms } : {}) } })),
  plans: () => unwrap(GET("/api/ramp-plans")),
  schedules: (query: { flag?: string; state?: string }) => unwrap(GET("/api/flag-schedules", { params: { query } })),
  schedule: (key: string, body: { environment: string; at: string; action: T.FlagAction }, version?: number) =>
    unwrap(POST("/api/flags/{key}/schedules", { params: { path: { key }, header: version === undefined ? {} : { "if-match": `"${version}"` } }, body })),
  cancelSchedule: (number: number) => unwrap(DELETE("/api/flag-schedules/{number}", { params: { path: { number } } })),
  requests: (query: { flag?: string; state?: string }) => unwrap(GET("/api/flag-requests", { params: { query } })),
  decide: (number: number, how: "approve" | "reject" | "withdraw" | "force", reason: string) => {
    const params = { path: { number } };
    if (how === "approve") return unwrap(POST("/api/flag-requests/{number}/approve", { params }));
    if (how === "withdraw") return unwrap(POST("/api/flag-requests/{number}/withdraw", { params }));
    if (how === "reject") return unwrap(POST("/api/flag-requests/{number}/reject", { params, body: { reason } }));
    return unwrap(POST("/api/flag-requests/{number}/force", { params, body: { reason } }));
  },

  evaluate: (key: string, environment: string, context: Record<string, unknown>) =>
    unwrap(POST("/api/flags/{key}/evaluate", { params: { path: { key } }, body: { environment, context } })),
};

export const permits = {
  list: () => unwrap(GET("/api/permits")),
};

export const alerts = {
  list: (query: AlertQuery) => unwrap(GET("/api/alerts", { params: { query } })),
  one: (fingerprint: string) => unwrap(GET("/api/alerts/{fingerprint}", { params: { path: { fingerprint } } })),
  why: (fingerprint: string) => unwrap(GET("/api/alerts/{fingerprint}/why", { params: { path: { fingerprint } } })),
  /** `labels` by their names, or as people write them: `alertname="Down", service="photos"`. */
  whyNot: (labels: Record<string, string> | string, person: string) => unwrap(POST("/api/alerts/why-not", { body: { labels: labels as unknown as Record<string, unknown>, for: person } })),
  /** Requests that could not be taken, the newest 100 and how many there are; of the other two the first acts on all of them, the second on those given up by then. */
  refused: () => unwrap(GET("/api/alerts/refused")),
  refusedAgain: () => unwrap(POST("/api/alerts/refused")),
  refusedForget: (until: string) => unwrap(DELETE("/api/alerts/refused", { params: { query: { until } } })),
  simulate: (labels: Record<string, string> | string, at: string) => unwrap(POST("/api/alerts/simulate", { body: { labels: labels as unknown as Record<string, unknown>, ...given({ at }) } })),
  rules: (query: { state?: string; q?: string; limit?: number; after?: number } = {}) => unwrap(GET("/api/rules", { params: { query } })),
  mutes: (all: boolean) => unwrap(GET("/api/mutes", { params: { query: all ? { all } : {} } })) as unknown as Promise<T.Items<T.Mute>>,
  mute: (body: T.NewMute) => unwrap(POST("/api/mutes", { body })),
  changeMute: (id: number, body: T.NewMute) => unwrap(PUT("/api/mutes/{id}", { params: { path: { id } }, body })),
  previewMute: (body: T.NewMute) => unwrap(POST("/api/mutes/preview", { body })),
  muteCalendar: (from: string, to: string) => unwrap(GET("/api/mutes/calendar", { params: { query: { from, to } } })),
  unmute: (id: number) => unwrap(DELETE("/api/mutes/{id}", { params: { path: { id } } })),
};

export const alertSources = {
  list: () => unwrap(GET("/api/alert-sources")),
};

export const noise = {
  report: (days: number) => unwrap(GET("/api/noise", { params: { query: { days } } })),
  drafts: (which: { rule: string; file: string; group: string; severity: string }, days: number) => unwrap(GET("/api/noise/drafts", { params: { query: { ...which, days } } })),
  putDraft: (body: T.DraftPut, version: string) => unwrap(POST("/api/noise/drafts", { params: { header: { "if-match": `"${version}"` } }, body })),
  undoRules: (group: string, version: string) => unwrap(POST("/api/rules/{group}/undo", { params: { path: { group }, header: { "if-match": `"${version}"` } } })),
};

export const checks = {
  list: (query: { state?: string; q?: string; limit?: number; after?: string } = {}) => unwrap(GET("/api/checks", { params: { query } })),
  show: (name: string) => unwrap(GET("/api/checks/{name}", { params: { path: { name } } })),
  now: (name: string) => unwrap(POST("/api/checks/{name}/now", { params: { path: { name } } })),
};

export const oncall = {
  schedules: () => unwrap(GET("/api/schedules")) as unknown as Promise<T.Items<T.Schedule>>,
  preview: (name: string, query: { from?: string; days: number }) =>
    unwrap(GET("/api/schedules/{name}/preview", { params: { path: { name }, query } })),
  /** As it would be with a plan that is not saved. */
  previewDraft: (name: string, plan: T.Plan, query: { from?: string; days: number }) =>
    unwrap(POST("/api/schedules/{name}/preview", { params: { path: { name }, query }, body: { plan: plan as unknown as Record<string, unknown> } })),
  save: (name: string, plan: T.Plan, from?: string) =>
    unwrap(PUT("/api/schedules/{name}", { params: { path: { name }, query: given({ from }) }, body: plan as unknown as Record<string, unknown> })),
  fairness: (name: string) => unwrap(GET("/api/schedules/{name}/fairness", { params: { path: { name } } })),
  digest: (name: string) => unwrap(GET("/api/schedules/{name}/digest", { params: { path: { name } } })),
  remove: (name: string) => unwrap(DELETE("/api/schedules/{name}", { params: { path: { name } } })),
  renewCalendar: (login: string) => unwrap(POST("/api/people/{login}/calendar", { params: { path: { login } } })),
  /** A new address at which programs read the schedule's shifts; the one before ends. */
  renewScheduleCalendar: (name: string) => unwrap(POST("/api/schedules/{name}/calendar", { params: { path: { name } } })),
  swaps: () => unwrap(GET("/api/swaps")),
  askSwap: (name: string, body: T.NewSwap) => unwrap(POST("/api/schedules/{name}/swaps", { params: { path: { name } }, body })),
  acceptSwap: (id: number) => unwrap(POST("/api/swaps/{id}/accept", { params: { path: { id } } })),
  declineSwap: (id: number) => unwrap(POST("/api/swaps/{id}/decline", { params: { path: { id } } })),
  override: (name: string, body: { kind?: string; person?: string; replaces?: string; shifts?: { person: string; start: string; end: string }[]; start: string; end: string }) =>
    unwrap(POST("/api/schedules/{name}/overrides", { params: { path: { name } }, body })),
  /** Who is free in the stretch and has had least of late. */
  suggest: (name: string, start: string, end: string) => unwrap(GET("/api/schedules/{name}/suggestion", { params: { path: { name }, query: { start, end } } })),
  removeOverride: (name: string, id: number) =>
    unwrap(DELETE("/api/schedules/{name}/overrides/{id}", { params: { path: { name, id } } })),
  take: (name: string, for_ms: number) => unwrap(POST("/api/schedules/{name}/take", { params: { path: { name } }, body: { for_ms } })),
  readiness: () => unwrap(GET("/api/readiness")) as unknown as Promise<T.Readiness>,
  policies: () => unwrap(GET("/api/policies")) as unknown as Promise<T.Items<T.EscalationPolicy>>,
  previewPolicy: (policy: T.PolicyBody) => unwrap(POST("/api/policies/preview", { body: policy as unknown as T.PolicyUpdate })),
  savePolicy: (name: string, policy: T.PolicyBody) =>
    unwrap(PUT("/api/policies/{name}", { params: { path: { name } }, body: policy as unknown as T.PolicyUpdate })),
  removePolicy: (name: string) => unwrap(DELETE("/api/policies/{name}", { params: { path: { name } } })),
};

export const incidents = {
  list: (state: string) => unwrap(GET("/api/incidents", { params: { query: given({ state }) } })),
  get: (n: number) => unwrap(GET("/api/incidents/{n}", { params: { path: { n } } })),
  open: (body: { title: string; service?: string; severity: string; drill?: boolean }) => unwrap(POST("/api/incidents", { body })),
  pageWhy: (id: string) => unwrap(GET("/api/pages/{id}/why", { params: { path: { id } } })),
  /** The newest pages of all incidents, tests among them. */
  pages: () => unwrap(GET("/api/pages", { params: { query: {} } })),
  /** `held`: how long, such as `2h`; else as long as the policy says, or for good. */
  acknowledge: (n: number, held?: string) => unwrap(POST("/api/incidents/{n}/acknowledge", { params: { path: { n }, query: given({ for: held }) } })),
  classify: (n: number, kind: string) => unwrap(POST("/api/incidents/{n}/classify", { params: { path: { n } }, body: { kind } })),
  /** `seen`: the step and round that were shown; when another step was paged since, nothing is done. */
  escalate: (n: number, seen?: { step: number; round: number }) => unwrap(POST("/api/incidents/{n}/escalate", { params: { path: { n }, query: given({ step: seen?.step, round: seen?.round }) } })),
  handOver: (n: number, to: { person: string; text?: string }) => unwrap(POST("/api/incidents/{n}/hand-over", { params: { path: { n } }, body: to })),
  resolve: (n: number) => unwrap(POST("/api/incidents/{n}/resolve", { params: { path: { n } }, body: {} })),
  note: (n: number, text: string) => unwrap(POST("/api/incidents/{n}/note", { params: { path: { n } }, body: { text } })),
  timeline: (n: number) => unwrap(GET("/api/incidents/{n}/timeline", { params: { path: { n } } })) as unknown as Promise<T.Items<T.TimelineEvent>>,
  /** What the reviewer of language would ask; it never blocks. */
  review: (text: string) => unwrap(POST("/api/incidents/review", { body: { text } })) as unknown as Promise<T.Items<T.Finding>>,
  postmortem: (n: number) => unwrap(GET("/api/incidents/{n}/postmortem", { params: { path: { n } }, parseAs: "text" })),
};

export const room = {
  messages: (query: { before?: number; limit: number }) => unwrap(GET("/api/console/messages", { params: { query } })),
  say: (text: string) => unwrap(POST("/api/console/messages", { body: { text } })),
  link: () => unwrap(POST("/api/chat/link")),
};
