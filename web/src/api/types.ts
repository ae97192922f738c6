/**
 * The shapes of the API under the names the pages use. They are generated (schema.d.ts); what stands here only sharpens
 * where the description says less than the server does. Instants are RFC 3339 strings, durations are `_ms` numbers.
 */
import type { components } from "./schema";

type S = components["schemas"];

export interface Items<T> {
  items: T[];
  next?: number | null;
}

export type RecordEvent = S["Event"];
export type Subject = S["Subject"];
export type TimelinePhase = "deploy" | "first_errors" | "alert" | "page" | "acknowledged" | "mitigation" | "recovery" | "note" | "other";
export type TimelineEvent = RecordEvent & { phase: TimelinePhase };
export type ChainCheck = S["Verified"];

export type Session = S["Session"];
export type Person = S["Person"];
export type PersonUpdate = S["PersonUpdate"];
export type Browser = S["Browser"];
export type NewBrowser = S["NewBrowser"];
export type PushView = S["PushView"];
export type Team = S["Team"];
export type Token = S["Token"];
export type NewToken = S["NewToken"];
export type TokenCreated = S["TokenCreated"];
export type Role = S["Role"];

export type Now = S["NowView"];
export type Figure = S["FigureView"];
export type OnCall = S["OnCallView"];

export type Commit = S["Commit"];
export type Deploy = S["Deploy"];
export type DeployStep = S["DeployStepView"];
export type DeployHost = S["DeployHost"];
export type DeployPod = S["DeployPod"];
export type NextDeploy = S["NextDeploy"];
export type DeployJudged = S["DeployJudged"];
export type Lock = S["Lock"];
export type LockKind = S["LockKind"];
export type NewLock = S["NewLock"];
export type PlannedStage = S["PlannedStage"];
export type Queue = S["QueueView"];
export type QueueWord = S["QueueWord"];
export type NextStage = S["NextStage"];
export type Train = S["TrainView"];
export type TrainWord = S["TrainWord"];
export type TrainGraphs = S["TrainGraphs"];
export type DeployApproval = S["DeployApproval"];
export type DeployExpects = S["DeployExpects"];
export type LogLine = S["LogLine"];
export type Host = S["Host"];
export type HostRelease = S["HostRelease"];
/** Nothing runs yet where an environment is null. */
export type Service = Omit<S["Service"], "current"> & { current: Record<string, S["Current"] | null> };

export type Alert = S["AlertView"];
export type AlertCounts = S["AlertCounts"];
export type AlertPage = S["AlertPage"];
export type RefusedRequest = S["RefusedView"];
export type Suspect = S["SuspectView"];
export type RuleGroup = S["RuleGroupView"];
export type RuleGroups = S["RuleGroupList"];
export type Rule = S["RuleView"];
export type Check = S["CheckView"];
export type AlertSource = S["AlertSourceView"];
export type TeamNoise = S["TeamNoiseView"];
export type RuleNoise = S["RuleNoiseView"];
export type RuleDraft = S["DraftView"];
export type RuleDrafts = S["RuleDrafts"];
export type DraftPut = S["DraftPut"];
export type RuleFileChanged = S["RuleFileChanged"];
export type WhyNot = S["WhyNotView"];
export type Foretold = S["Foretold"];
export type ForetoldIncident = S["ForetoldIncident"];
export type CheckList = S["CheckList"];
/** What a stage said of an alert. */
export type Decision = { stage: string; verdict: string; because: string };
export interface Matcher {
  name: string;
  op: "=" | "!=" | "=~" | "!~";
  value: string;
}
export type NewMute = S["NewMute"];
export type MutePreview = S["MutePreview"];
export type MuteTurn = S["MuteTurn"];
export type Mute = Omit<S["MuteView"], "matchers"> & { matchers: Matcher[] };

/** A layer as it is written. */
export interface PlanLayer {
  name: string;
  timezone?: string;
  /** `basis` of shifts in hours: `elapsed` counts them as they pass, not by the clock. */
  rotation: { people: string[]; start: string; shift_length: string; basis?: "elapsed" };
  restrictions?: { days?: string[]; from: string; to: string }[];
  start?: string;
  end?: string;
}
/** A schedule's plan as it is written: one rotation, or layers, or a calendar. */
export interface Plan {
  timezone: string;
  rotation?: PlanLayer["rotation"];
  layers?: PlanLayer[];
  /** Followed; whoever has a shift in it covers the layers. Of an address that is kept only the host is shown. */
  calendar?: { url: string; refresh_s?: number };
  fallback?: string[];
  shadows?: { person: string; start?: string; end?: string }[];
  min_rest_hours?: number;
  enforce_rest?: boolean;
  holidays?: string[];
  /** Who is told at a handover; left out, whoever comes on call. */
  handoff?: { digest?: boolean; channel?: string | null };
}
export type FollowedCalendar = S["FollowedView"];
export type Schedule = Omit<S["ScheduleView"], "plan"> & { plan: Plan };
export type SchedulePreview = S["PreviewView"];
export type ScheduleSpan = S["SpanView"];
export type Shares = S["FairnessView"];
export type ReadinessPerson = S["ReadinessPerson"];
export type Readiness = S["ReadinessView"];
export type Swap = S["SwapView"];
export type NewSwap = S["NewSwap"];
export type Override = S["OverrideView"];
export type Rest = S["RestView"];
export interface PolicyStep {
  /** How long the step, once paged, waits for an acknowledgement. */
  delay_ms: number;
  targets: { kind: "schedule" | "person" | "team"; name: string; offset?: number }[];
  /** One target in turn instead of all. */
  round_robin?: boolean;
}
/** A policy without its name, as it is sent. */
export type PolicyBody = { steps: PolicyStep[]; repeat: number; deployer_first?: { within_ms: number; delay_ms: number }; ack_timeout_ms?: number };
export type PolicyUpdate = S["PolicyUpdate"];
export type PolicyPreview = S["PolicyPreviewView"];
export type EscalationPolicy = Omit<S["PolicyView"], "steps" | "deployer_first"> & { steps: PolicyStep[]; deployer_first?: { within_ms: number; delay_ms: number } };

export type Incident = S["IncidentView"];
export type Page = S["PageView"];
export interface Finding {
  line: number;
  column: number;
  rule: string;
  level: string;
  excerpt: string;
  ask: string;
}

export type Flag = S["Flag"];
export type FlagUpdate = S["FlagUpdate"];
export type Contingency = NonNullable<Flag["contingency"]>;
export type FlagKind = S["FlagKind"];
export type FlagEnvironment = S["FlagEnv"];
export type FlagStrategy = S["FlagStrategy"];
export type FlagConstraint = S["FlagConstraint"];
export type FlagVariant = S["FlagVariant"];
export type FlagSegment = S["FlagSegment"];
export type FlagSummary = S["FlagSummary"];
export type FlagSummaryEnvironment = S["FlagSummaryEnvironment"];
export type FlagPreviewQuestion = S["FlagPreviewQuestion"];
export type FlagPreview = S["FlagPreview"];
export type FlagPreviewIds = S["FlagPreviewIds"];
export type FlagExplanation = S["FlagExplanation"];

export type Guard = S["Guard"];
export type GuardComparison = S["GuardComparison"];
export type GuardReading = S["GuardReading"];
export type GuardEvidence = S["GuardEvidence"];
export type GuardCondition = S["GuardCondition"];
export type JudgeReport = S["JudgeReport"];
export type JudgeCount = S["JudgeCount"];
export type JudgeEvidence = S["JudgeEvidence"];
export type JudgeVerdict = S["JudgeVerdict"];
export type RampWatch = S["Watch"];
export type Ramp = S["Ramp"];
export type RampPlan = S["RampPlanView"];
export type RampStartBody = S["FlagRamp"];
export type FlagAction = S["FlagAction"];
export type FlagSchedule = S["FlagSchedule"];
export type FlagScheduled = S["FlagScheduled"];
export type FlagRequest = S["FlagRequest"];

export type Permit = S["Permit"];

export type Dashboard = S["Dashboard"];
export type Threshold = S["Threshold"];
export type Panel = S["Panel"];
export type PanelQuery = S["PanelQuery"];
export type PanelKind = S["PanelKind"];
export type PanelNulls = S["PanelNulls"];
export type PanelReduce = S["PanelReduce"];
export type PanelColumn = S["PanelColumn"];
export type PanelSeries = S["PanelSeries"];
export type PanelSort = S["PanelSort"];
export type PanelWord = S["PanelWord"];
export type DashboardLink = S["DashboardLink"];
export type DashboardMark = S["DashboardMark"];
export type Variable = S["Variable"];
export type ImportedDashboard = S["ImportedDashboard"];
/** What the record marks, and what a query of a dashboard does. */
export type Marker = Omit<S["Marker"], "kind"> & { kind: S["Marker"]["kind"] | "mark" };
export type Target = S["Target"];
export type TargetCounts = S["TargetCounts"];
export type TargetList = S["TargetList"];
export type JobInterval = S["JobInterval"];
export type CountedSeries = S["CountedSeries"];
export type CountedLabel = S["CountedLabel"];
export type CardinalityView = S["CardinalityView"];
export type StoreView = S["StoreView"];
export type SourceStatus = S["SourceStatus"];
export type ExceededLimit = S["ExceededLimit"];
export type JobExceeded = S["JobExceeded"];

export type ConsoleMessage = S["ConsoleMessage"];
