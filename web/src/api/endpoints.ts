/** Every call the pages make, by name. The pages use the public API and nothing else. */
import { at, del, get, post, put, type Query } from "./http";
import type * as T from "./types";

export const session = {
  get: () => get<T.Session>("/api/session"),
  signIn: (login: string, password: string) => post<T.Session>("/api/session", { login, password }),
  signOut: () => del<void>("/api/session"),
  setup: (body: { token: string; login: string; name: string; password: string }) => post<T.Session>("/api/setup", body),
};

export const people = {
  list: () => get<T.Items<T.Person>>("/api/people"),
  put: (login: string, body: Partial<T.Person> & { password?: string }) => put<T.Person>(at("/api/people/{login}", { login }), body),
  teams: () => get<T.Items<T.Team>>("/api/teams"),
  testPage: (login: string) => post<{ text?: string }>(at("/api/people/{login}/test-page", { login })),
};

export const tokens = {
  list: () => get<T.Items<T.Token>>("/api/tokens"),
  create: (body: { name: string; kind: string; role?: string; service?: string; environment?: string }) => post<T.Token>("/api/tokens", body),
  revoke: (id: string) => del<void>(at("/api/tokens/{id}", { id })),
};

export const record = {
  list: (query: Query) => get<T.Items<T.RecordEvent>>("/api/events", query),
  verify: () => get<T.ChainCheck>("/api/events/verify"),
  search: (q: string) => get<T.Items<T.RecordEvent>>("/api/search", { q }),
  now: () => get<T.Now>("/api/now"),
  delivery: (query: Query) => get<T.Delivery>("/api/delivery", query),
  /** The rows with these numbers: runs of neighbours are asked for together. */
  rows: async (seqs: number[]): Promise<T.RecordEvent[]> => {
    const sorted = [...new Set(seqs)].sort((a, b) => b - a).slice(0, 100);
    const asked = await Promise.all(
      sorted.map((seq) => get<T.Items<T.RecordEvent>>("/api/events", { after: seq - 1, order: "asc", limit: 1 })),
    );
    return asked.flatMap((answer, index) => answer.items.filter((event) => event.seq === sorted[index]));
  },
};

export const services = {
  list: () => get<T.Items<T.Service>>("/api/services"),
  get: (name: string) => get<T.Service>(at("/api/services/{name}", { name })),
  put: (name: string, body: unknown) => put<T.Service>(at("/api/services/{name}", { name }), body),
  next: (name: string, environment: string) => get<T.NextDeploy>(at("/api/services/{name}/next", { name }), { environment }),
  hosts: () => get<T.Items<T.Host>>("/api/hosts"),
};

export const deploys = {
  list: (query: Query) => get<T.Items<T.Deploy>>("/api/deploys", query),
  get: (number: number) => get<T.Deploy>(at("/api/deploys/{number}", { number })),
  start: (body: { service: string; environment: string; ref?: string }) => post<T.Deploy>("/api/deploys", body),
  rollback: (number: number, reason?: string) => post<T.Deploy>(at("/api/deploys/{number}/rollback", { number }), reason ? { reason } : {}),
  act: (number: number, verb: "cancel" | "retry" | "promote" | "abort") => post<T.Deploy>(at(`/api/deploys/{number}/${verb}`, { number })),
  log: (number: number) => get<T.Items<T.LogLine>>(at("/api/deploys/{number}/log", { number })),
  locks: () => get<T.Items<T.Lock>>("/api/locks"),
  lock: (body: { service: string; environment: string; reason: string; minutes: number }) => post<T.Lock>("/api/locks", body),
  unlock: (id: string) => del<void>(at("/api/locks/{id}", { id })),
};

export const graphs = {
  dashboards: () => get<T.Items<T.Dashboard>>("/api/dashboards"),
  markers: (query: Query) => get<T.Items<T.Marker>>("/api/markers", query),
  targets: () => get<T.Items<T.Target>>("/api/targets"),
};

export const flags = {
  list: () => get<T.Items<T.Flag>>("/api/flags"),
  get: (key: string) => get<T.Flag>(at("/api/flags/{key}", { key })),
  put: (key: string, body: unknown) => put<T.Flag>(at("/api/flags/{key}", { key }), body),
  archive: (key: string) => del<void>(at("/api/flags/{key}", { key })),
  switch: (key: string, environment: string, enabled: boolean) =>
    post<T.Flag>(at("/api/flags/{key}/switch", { key }), { environment, enabled }),
  rollout: (key: string, environment: string, percent: number) =>
    post<T.Flag>(at("/api/flags/{key}/rollout", { key }), { environment, percent }),
  ramp: (key: string, environment: string, steps: { percent: number; hold_ms: number }[]) =>
    post<T.Flag>(at("/api/flags/{key}/ramp", { key }), { environment, steps }),
  stopRamp: (key: string, environment: string) => del<T.Flag>(at("/api/flags/{key}/ramp", { key }), { environment }),
  evaluate: (key: string, environment: string, context: unknown) =>
    post<T.Evaluation>(at("/api/flags/{key}/evaluate", { key }), { environment, context }),
};

export const alerts = {
  list: (query: Query = {}) => get<T.Items<T.Alert>>("/api/alerts", query),
  rules: () => get<T.Items<T.RuleGroup>>("/api/rules"),
  putRules: (group: string, yaml: string) => put<T.RuleGroup>(at("/api/rules/{group}", { group }), { yaml }),
  mutes: () => get<T.Items<T.Mute>>("/api/mutes"),
  mute: (body: { matchers: unknown; reason: string; expires_at: string }) => post<T.Mute>("/api/mutes", body),
  unmute: (id: string) => del<void>(at("/api/mutes/{id}", { id })),
};

export const oncall = {
  schedules: () => get<T.Items<T.Schedule>>("/api/schedules"),
  override: (schedule: string, body: { person: string; start: string; end: string }) =>
    post<T.Override>(at("/api/schedules/{schedule}/overrides", { schedule }), body),
  removeOverride: (schedule: string, id: string) => del<void>(at("/api/schedules/{schedule}/overrides/{id}", { schedule, id })),
  policies: () => get<T.Items<T.EscalationPolicy>>("/api/policies"),
};

export const incidents = {
  list: (query: Query = {}) => get<T.Items<T.Incident>>("/api/incidents", query),
  get: (number: number) => get<T.Incident>(at("/api/incidents/{number}", { number })),
  open: (body: { title: string; service?: string; severity: string }) => post<T.Incident>("/api/incidents", body),
  acknowledge: (number: number) => post<T.Incident>(at("/api/incidents/{number}/acknowledge", { number })),
  resolve: (number: number) => post<T.Incident>(at("/api/incidents/{number}/resolve", { number })),
  note: (number: number, text: string) => post<unknown>(at("/api/incidents/{number}/note", { number }), { text }),
  timeline: (number: number) => get<T.Items<T.TimelineEvent>>(at("/api/incidents/{number}/timeline", { number })),
  postmortem: (number: number) => get<string>(at("/api/incidents/{number}/postmortem", { number })),
};

export const room = {
  messages: (query: Query) => get<T.Items<T.ConsoleMessage>>("/api/console/messages", query),
  say: (text: string) => post<{ reply?: string | null }>("/api/console/messages", { text }),
  link: () => post<{ code: string; expires_at: string }>("/api/chat/link"),
};
