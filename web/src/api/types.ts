/** The shapes the server speaks. Instants are RFC 3339 strings, durations are `_ms` numbers. */

export interface Items<T> {
  items: T[];
  next?: number | string | null;
}

export type ActorKind = "person" | "robot" | "agent";
export interface Actor {
  kind: ActorKind;
  id: string;
}

export type EventSeverity = "debug" | "info" | "good" | "warning" | "critical";

export interface Subject {
  service?: string | null;
  environment?: string | null;
  host?: string | null;
  flag?: string | null;
  alert?: string | null;
  incident?: number | null;
  deploy?: number | null;
}

export interface RecordEvent {
  seq: number;
  id: string;
  occurred_at: string;
  recorded_at: string;
  actor: Actor;
  kind: string;
  subject: Subject;
  severity: EventSeverity;
  text: string;
  data?: unknown;
  correlation?: string | null;
  causation?: string | null;
  source: string;
  visibility?: string;
  prev_hash: string;
  hash: string;
}

export type TimelinePhase =
  | "deploy" | "first_errors" | "alert" | "page" | "acknowledged" | "mitigation" | "recovery" | "note" | "other";
export interface TimelineEvent extends RecordEvent {
  phase: TimelinePhase;
}

export interface Person {
  login: string;
  name: string;
  kind: "developer" | "operator";
  email?: string | null;
  timezone: string;
  role: string;
  teams: string[];
  contact?: { email?: string | null; irc?: string | null; webhook?: string | null } | null;
}

export interface Session {
  person: Person | null;
  demo: boolean;
  setup_needed: boolean;
  version: string;
}

export interface Team {
  name: string;
  title?: string | null;
  members: string[];
}

export interface Token {
  id: string;
  name: string;
  kind: "robot" | "agent" | "client" | "frontend";
  role?: string | null;
  service?: string | null;
  environment?: string | null;
  created_at?: string;
  last_used_at?: string | null;
  revoked_at?: string | null;
  secret?: string | null;
}

export interface Figure {
  value: number | null;
  n: number;
  unit: string;
  events: number[];
}

export interface OnCall {
  schedule: string;
  person: { login: string; name: string; kind: string } | null;
  since?: string | null;
  until?: string | null;
  secondary?: { login: string; name: string; kind: string } | null;
}

export interface Commit {
  sha: string;
  short: string;
  author: string;
  message: string;
  at: string;
}

export type DeployState =
  | "queued" | "building" | "staging" | "canary" | "promoting" | "succeeded" | "rolling_back" | "rolled_back"
  | "held" | "needs_human" | "failed" | "cancelled" | "interrupted";

export type HostDeployState =
  | "waiting" | "staging" | "staged" | "activating" | "checking" | "healthy" | "failed" | "rolled_back" | "unreachable";

export interface DeployStep {
  name: string;
  state: string;
  started_at?: string | null;
  finished_at?: string | null;
}

export interface DeployHost {
  host: string;
  state: HostDeployState;
  canary: boolean;
  digest_observed?: string | null;
  message?: string | null;
  updated_at?: string | null;
}

export interface Deploy {
  number: number;
  service: string;
  environment: string;
  state: DeployState;
  kind: "deploy" | "rollback";
  from_sha?: string | null;
  to_sha: string;
  from_deploy?: number | null;
  reverts?: number | null;
  commits: Commit[];
  commit_count: number;
  actor: Actor;
  actor_name: string;
  reason?: string | null;
  started_at: string;
  finished_at?: string | null;
  digest?: string | null;
  error?: string | null;
  steps: DeployStep[];
  hosts: DeployHost[];
  max_commits_exceeded?: boolean | null;
}

export interface Lock {
  id: string;
  service: string;
  environment: string;
  owner: string;
  owner_name: string;
  reason: string;
  created_at: string;
  expires_at?: string | null;
}

export interface NextDeploy {
  current: { sha: string; deploy: number } | null;
  next: { sha: string; message: string; author: string; at: string } | null;
  added: Commit[];
  removed: Commit[];
  warnings: string[];
  locked: Lock | null;
  running: Deploy | null;
  expected_ms?: number | null;
}

export interface LogLine {
  seq: number;
  at: string;
  stream: "out" | "err" | "tenfold";
  host?: string | null;
  text: string;
}

export interface Service {
  name: string;
  description?: string | null;
  repository: string;
  branch: string;
  environments: string[];
  owner_team?: string | null;
  policy?: string | null;
  pipeline_path?: string | null;
  dependencies?: string[];
  current: Record<string, { sha: string; deploy: number; since: string } | null>;
}

export interface HostRelease {
  service: string;
  digest?: string | null;
  sha?: string | null;
  deploy?: number | null;
  state: "running" | "stopped" | "unhealthy" | "unknown";
  address?: string | null;
  since?: string | null;
}

export interface Host {
  name: string;
  environment: string;
  labels: Record<string, string>;
  state: "connected" | "disconnected";
  last_seen?: string | null;
  epoch?: number;
  releases: HostRelease[];
}

export type AlertState = "pending" | "firing" | "resolved" | "unknown";
export type AlertSeverity = "critical" | "warning" | "info";

export interface Suspect {
  kind: "deploy" | "flip";
  number?: number | null;
  flag?: string | null;
  text: string;
  at: string;
  seq: number;
  actor_name: string;
  rollback: boolean;
  environment?: string | null;
}

export interface Alert {
  fingerprint: string;
  rule: string;
  severity: AlertSeverity;
  state: AlertState;
  labels: Record<string, string>;
  summary: string;
  description?: string | null;
  service?: string | null;
  environment?: string | null;
  value?: number | null;
  active_since: string;
  fired_at?: string | null;
  resolved_at?: string | null;
  runbook_url?: string | null;
  incident?: number | null;
  suspects: Suspect[];
  acknowledged_by?: string | null;
  expr?: string | null;
  muted_by?: string | null;
}

export interface Rule {
  name: string;
  expr: string;
  for_ms?: number;
  severity?: string;
  state?: string;
  last_evaluation?: string | null;
  error?: string | null;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}
export interface RuleGroup {
  name: string;
  interval_ms?: number;
  rules: Rule[];
  state?: string;
  last_evaluation?: string | null;
  error?: string | null;
  yaml?: string | null;
}

export interface Matcher {
  name: string;
  op?: string;
  value: string;
}
export interface Mute {
  id: string;
  matchers: Matcher[] | string[] | string;
  reason: string;
  created_by?: string | null;
  created_at?: string | null;
  starts_at?: string | null;
  expires_at: string;
}

export interface Override {
  id: string;
  person: string;
  start: string;
  end: string;
  by?: string | null;
}
export interface Schedule {
  name: string;
  timezone: string;
  rotation: { people: string[]; start: string; shift_length: string; handoff?: string | null };
  overrides: Override[];
  on_call: OnCall;
  next: OnCall[];
}

export interface EscalationPolicy {
  name: string;
  steps: { delay_ms: number; targets: { kind: "schedule" | "person"; name: string }[] }[];
  repeat?: number;
}

export interface PageAttempt {
  channel: string;
  state: string;
  at: string;
  error?: string | null;
}
export interface Page {
  id: string;
  incident?: number | null;
  step: number;
  round: number;
  person: string;
  person_name: string;
  state: "due" | "sending" | "delivered" | "acknowledged" | "failed" | "superseded";
  attempts: PageAttempt[];
  due_at: string;
  delivered_at?: string | null;
}

export interface Incident {
  number: number;
  title: string;
  severity: AlertSeverity;
  service?: string | null;
  environment?: string | null;
  state: "open" | "acknowledged" | "resolved";
  opened_at: string;
  acknowledged_at?: string | null;
  acknowledged_by?: string | null;
  resolved_at?: string | null;
  alerts: string[];
  suspects: Suspect[];
  escalation?: { policy?: string | null; step?: number | null; next_at?: string | null; waiting_for?: string | null } | null;
  pages: Page[];
}

export interface FlagConstraint {
  contextName: string;
  operator: string;
  values?: string[];
  value?: string | null;
  inverted?: boolean;
  caseInsensitive?: boolean;
}
export interface FlagVariant {
  name: string;
  weight: number;
  value?: unknown;
  stickiness?: string | null;
}
export interface FlagStrategy {
  name: string;
  parameters: Record<string, string | number>;
  constraints: FlagConstraint[];
  segments: (string | number)[];
  variants: FlagVariant[];
}
export interface FlagRamp {
  steps: { percent: number; hold_ms: number }[];
  position: number;
  next_at?: string | null;
  state: "running" | "done" | "stopped";
}
export interface FlagEnvironment {
  enabled: boolean;
  off_value?: unknown;
  strategies: FlagStrategy[];
  variants: FlagVariant[];
  rollout_percent?: number | null;
  updated_at?: string | null;
  updated_by?: string | null;
  usage?: { yes: number; no: number; by_variant?: Record<string, number> } | null;
  ramp?: FlagRamp | null;
}
export interface Flag {
  key: string;
  description: string;
  kind: string;
  owner?: string | null;
  created_at: string;
  expires_at?: string | null;
  value_type: string;
  environments: Record<string, FlagEnvironment>;
  archived: boolean;
}
export interface Evaluation {
  enabled: boolean;
  variant?: string | null;
  value?: unknown;
  reason: string;
}

export interface PanelQuery {
  expr: string;
  legend?: string | null;
}
export interface Panel {
  title: string;
  unit: string;
  queries: PanelQuery[];
  description?: string | null;
}
export interface Dashboard {
  name: string;
  title: string;
  service?: string | null;
  panels: Panel[];
}

export interface Marker {
  seq: number;
  at: string;
  end_at?: string | null;
  kind: "deploy" | "rollback" | "canary" | "flip" | "note";
  text: string;
  actor_name: string;
  subject?: Subject;
}

export interface Target {
  job: string;
  instance: string;
  host?: string | null;
  url: string;
  health: "up" | "down" | "unknown";
  last_scrape?: string | null;
  duration_ms?: number | null;
  error?: string | null;
}

export interface WeekSentence {
  deploys: number;
  changes: number;
  people: number;
  sentence: string;
}

export interface Now {
  at: string;
  on_call: OnCall[];
  last_deploy: Deploy | null;
  deploys_today: number;
  week: WeekSentence;
  change_fail_rate: Figure;
  recovery_ms: Figure;
  lead_time_ms: Figure;
  firing: { critical: number; warning: number; unknown: number };
  running: Deploy[];
  alerts: Alert[];
  hosts: Host[];
  incidents: Incident[];
}

export interface Delivery extends WeekSentence {
  from: string;
  to: string;
  figures: Record<string, Figure>;
}

export interface ConsoleMessage {
  seq: number;
  at: string;
  who: string;
  name: string;
  kind: "message" | "announcement" | "reply";
  text: string;
  severity: EventSeverity;
}

export interface ChainCheck {
  ok: boolean;
  checked: number;
  first_broken?: number | null;
}
