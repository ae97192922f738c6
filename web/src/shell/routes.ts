/** Every page, its address, and its key. Each is its own file on the wire. */
import { lazy, type ComponentType, type LazyExoticComponent } from "react";

export type PageProps = { params: Record<string, string> };
type LazyPage = LazyExoticComponent<ComponentType<PageProps>>;

const now = lazy(() => import("../pages/now/NowPage"));
const timeline = lazy(() => import("../pages/timeline/TimelinePage"));
const deploys = lazy(() => import("../pages/deploys/DeploysPage"));
const deploy = lazy(() => import("../pages/deploys/DeployPage"));
const graphs = lazy(() => import("../pages/graphs/GraphsPage"));
const explore = lazy(() => import("../pages/graphs/ExplorePage"));
const flags = lazy(() => import("../pages/flags/FlagsPage"));
const flag = lazy(() => import("../pages/flags/FlagPage"));
const segments = lazy(() => import("../pages/flags/SegmentsPage"));
const changes = lazy(() => import("../pages/flags/changes/ChangesPage"));
const permits = lazy(() => import("../pages/permits/PermitsPage"));
const flagsMine = lazy(() => import("../pages/flags/OptInPage"));
const flagsContingency = lazy(() => import("../pages/flags/ContingencyPage"));
const flagsGroups = lazy(() => import("../pages/flags/GroupsPage"));
const flagsStale = lazy(() => import("../pages/flags/StalePage"));
const alerts = lazy(() => import("../pages/alerts/AlertsPage"));
const rules = lazy(() => import("../pages/alerts/RulesPage"));
const checks = lazy(() => import("../pages/alerts/ChecksPage"));
const check = lazy(() => import("../pages/alerts/CheckPage"));
const sources = lazy(() => import("../pages/alerts/SourcesPage"));
const mutes = lazy(() => import("../pages/alerts/MutesPage"));
const simulate = lazy(() => import("../pages/alerts/SimulatePage"));
const noise = lazy(() => import("../pages/alerts/NoisePage"));
const alert = lazy(() => import("../pages/alerts/AlertPage"));
const onCall = lazy(() => import("../pages/oncall/OnCallPage"));
const onCallMe = lazy(() => import("../pages/oncall/MyOnCallPage"));
const readiness = lazy(() => import("../pages/oncall/ReadinessPage"));
const incidents = lazy(() => import("../pages/incidents/IncidentsPage"));
const incident = lazy(() => import("../pages/incidents/IncidentPage"));
const console_ = lazy(() => import("../pages/console/ConsolePage"));
const settings = lazy(() => import("../pages/settings/SettingsPage"));

export const ROUTES: { pattern: string; page: LazyPage }[] = [
  { pattern: "/", page: now },
  { pattern: "/timeline", page: timeline },
  { pattern: "/deploys", page: deploys },
  { pattern: "/deploys/:number", page: deploy },
  { pattern: "/graphs", page: graphs },
  { pattern: "/graphs/explore", page: explore },
  { pattern: "/graphs/:name", page: graphs },
  { pattern: "/flags", page: flags },
  { pattern: "/flags/mine", page: flagsMine },
  { pattern: "/flags/contingency", page: flagsContingency },
  { pattern: "/flags/groups", page: flagsGroups },
  { pattern: "/flags/stale", page: flagsStale },
  { pattern: "/flags/:key", page: flag },
  { pattern: "/flags/-/segments", page: segments },
  { pattern: "/flags/-/changes", page: changes },
  { pattern: "/flags/-/permits", page: permits },
  { pattern: "/alerts", page: alerts },
  { pattern: "/alerts/rules", page: rules },
  { pattern: "/alerts/checks", page: checks },
  { pattern: "/alerts/checks/:name", page: check },
  { pattern: "/alerts/sources", page: sources },
  { pattern: "/alerts/mutes", page: mutes },
  { pattern: "/alerts/simulate", page: simulate },
  { pattern: "/alerts/noise", page: noise },
  { pattern: "/alerts/:fingerprint", page: alert },
  { pattern: "/on-call", page: onCall },
  { pattern: "/on-call/me", page: onCallMe },
  { pattern: "/on-call/readiness", page: readiness },
  { pattern: "/incidents", page: incidents },
  { pattern: "/incidents/:number", page: incident },
  { pattern: "/console", page: console_ },
  { pattern: "/settings", page: settings },
  { pattern: "/settings/:section", page: settings },
];

export interface NavItem {
  to: string;
  text: string;
  /** Pressed after `g`. */
  key: string;
}

export const NAV: NavItem[] = [
  { to: "/", text: "Now", key: "n" },
  { to: "/timeline", text: "Timeline", key: "t" },
  { to: "/deploys", text: "Deploys", key: "d" },
  { to: "/graphs", text: "Graphs", key: "r" },
  { to: "/flags", text: "Flags", key: "f" },
  { to: "/alerts", text: "Alerts", key: "a" },
  { to: "/on-call", text: "On-call", key: "o" },
  { to: "/incidents", text: "Incidents", key: "i" },
  { to: "/console", text: "Console", key: "c" },
  { to: "/settings", text: "Settings", key: "s" },
];

export const isCurrent = (item: NavItem, path: string): boolean => (item.to === "/" ? path === "/" : path === item.to || path.startsWith(`${item.to}/`));
