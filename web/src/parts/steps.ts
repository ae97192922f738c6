/** A deploy's steps as a ladder: those it took, and, while it runs, those still to come. */
import type { Deploy, DeployStep } from "../api/types";
import { isRunning } from "../lib/status";

export interface Rung {
  name: string;
  state: string;
  started_at?: string;
  finished_at?: string | null | undefined;
}

export const STEP_NAMES: Record<string, string> = {
  queued: "Queue", building: "Build", staging: "Stage", awaiting_approval: "Approval", canary: "Canary", promoting: "Promote",
  rolling_back: "Roll back", held: "Held", needs_human: "Needs a person",
};
/** Nothing goes on in these until a person says how. */
const STOPPED = ["held", "needs_human"];
/** A queue that was left at once is not worth a rung. */
const QUEUE_SHOWN_MS = 1000;

const inQueue = (step: DeployStep): boolean =>
  step.name === "queued" && step.finished_at !== null && step.finished_at !== undefined && Date.parse(step.finished_at) - Date.parse(step.started_at) < QUEUE_SHOWN_MS;

type Laddered = Pick<Deploy, "steps" | "state" | "kind" | "approval" | "canary_steps">;

/** The states on its way, a canary once for each of its steps. */
function way(deploy: Laddered): string[] {
  if (deploy.kind !== "deploy") return ["promoting"];
  const canaries = Array.from({ length: deploy.canary_steps }, () => "canary");
  return ["building", "staging", ...(deploy.approval ? ["awaiting_approval"] : []), ...canaries, "promoting"];
}

export function ladder(deploy: Laddered): Rung[] {
  let canaries = 0;
  const called = (name: string): string => {
    if (name !== "canary" || deploy.canary_steps < 2) return STEP_NAMES[name] ?? name;
    canaries += 1;
    return `Canary ${canaries} of ${deploy.canary_steps}`;
  };
  const taken = deploy.steps.filter((step) => !inQueue(step)).map((step) => ({ ...step, name: called(step.name), state: step.state === "running" && STOPPED.includes(step.name) ? "stopped" : step.state }));
  const leaving = ["rolling_back", ...STOPPED].includes(deploy.state);
  if (!isRunning(deploy.state) || leaving) return taken;
  const ahead = way(deploy);
  for (const { name } of deploy.steps) {
    const at = ahead.indexOf(name);
    if (at >= 0) ahead.splice(0, at + 1);
  }
  return [...taken, ...ahead.map((name) => ({ name: called(name), state: "waiting" }))];
}
