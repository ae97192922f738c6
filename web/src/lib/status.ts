/** Every state of the product in one of six looks. A look is a shape, a colour and a word together, never a colour alone. */
import type { Alert } from "../api/types";

export type Look = "critical" | "warning" | "unknown" | "ok" | "busy" | "quiet";

export const SHAPE: Record<Look, string> = { critical: "▲", warning: "◆", unknown: "○", ok: "●", busy: "◐", quiet: "–" };

const ORDER: Look[] = ["critical", "warning", "unknown", "busy", "ok", "quiet"];
/** A group takes the worst of its members. */
export const worst = (looks: Look[]): Look => ORDER.find((look) => looks.includes(look)) ?? "quiet";

const DEPLOY: Record<string, [Look, string]> = {
  queued: ["busy", "Queued"],
  building: ["busy", "Building"],
  staging: ["busy", "Staging"],
  awaiting_approval: ["warning", "Awaits approval"],
  canary: ["busy", "Canary"],
  promoting: ["busy", "Promoting"],
  succeeded: ["ok", "Succeeded"],
  rolling_back: ["warning", "Rolling back"],
  rolled_back: ["warning", "Rolled back"],
  held: ["warning", "Held"],
  needs_human: ["critical", "Needs a person"],
  failed: ["critical", "Failed"],
  cancelled: ["quiet", "Cancelled"],
  interrupted: ["warning", "Interrupted"],
};
export const deployLook = (state: string): [Look, string] => DEPLOY[state] ?? ["unknown", state];

export const RUNNING = ["queued", "building", "staging", "awaiting_approval", "canary", "promoting", "rolling_back", "held", "needs_human"];
export const ENDED = Object.keys(DEPLOY).filter((state) => !RUNNING.includes(state));
export const isRunning = (state: string): boolean => RUNNING.includes(state);

const HOST: Record<string, [Look, string]> = {
  waiting: ["quiet", "Waiting"],
  staging: ["busy", "Staging"],
  staged: ["busy", "Staged"],
  preparing: ["busy", "Preparing"],
  prepared: ["busy", "Prepared"],
  activating: ["busy", "Activating"],
  checking: ["busy", "Checking"],
  healthy: ["ok", "Healthy"],
  failed: ["critical", "Failed"],
  rolled_back: ["warning", "Rolled back"],
  unreachable: ["unknown", "Unreachable"],
  stopping: ["quiet", "Stopping"],
};
export const hostDeployLook = (state: string): [Look, string] => HOST[state] ?? ["unknown", state];

export const severityLook = (severity: string): Look => {
  if (severity === "critical") return "critical";
  if (severity === "warning") return "warning";
  if (severity === "good") return "ok";
  return "quiet";
};

export function alertLook(alert: Pick<Alert, "state" | "severity">): [Look, string] {
  switch (alert.state) {
    case "unknown":
      return ["unknown", "No data"];
    case "resolved":
      return ["ok", "Resolved"];
    case "pending":
      return ["busy", "Pending"];
    default:
      if (alert.severity === "critical") return ["critical", "Critical"];
      if (alert.severity === "warning") return ["warning", "Warning"];
      return ["quiet", "Info"];
  }
}

export const incidentLook = (state: string, severity: string): [Look, string] => {
  if (state === "resolved") return ["ok", "Resolved"];
  const look = severity === "critical" ? "critical" : "warning";
  return [look, state === "acknowledged" ? "Acknowledged" : "Open"];
};

export const pageLook = (state: string): [Look, string] => {
  switch (state) {
    case "delivered":
    case "accepted":
      return ["ok", "Delivered"];
    case "shown":
      return ["ok", "Shown"];
    case "acknowledged":
      return ["ok", "Acknowledged"];
    case "failed":
      return ["critical", "Failed"];
    case "sending":
      return ["busy", "Sending"];
    case "due":
      return ["busy", "Due"];
    case "superseded":
      return ["quiet", "Superseded"];
    default:
      return ["unknown", state];
  }
};

export const stepLook = (state: string): [Look, string] => {
  switch (state) {
    case "done":
    case "succeeded":
      return ["ok", "Done"];
    case "running":
      return ["busy", "Running"];
    case "stopped":
      return ["warning", "Waits for a person"];
    case "failed":
      return ["critical", "Failed"];
    case "skipped":
      return ["quiet", "Skipped"];
    case "held":
      return ["warning", "Held"];
    default:
      return ["quiet", "Waiting"];
  }
};
