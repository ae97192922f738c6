/** A deploy's steps as a ladder: those it took, and, while it runs, those still to come. */
import type { Deploy, DeployStep } from "../api/types";
import { isRunning } from "../lib/status";

export interface Rung {
  name: string;
  state: string;
  started_at?: string;
  finished_at?: string | null | undefined;
}

const NAMES: Record<string, string> = {
  queued: "Queue", building: "Build", staging: "Stage", canary: "Canary", promoting: "Promote",
  rolling_back: "Roll back", held: "Held", needs_human: "Needs a person",
};
const WAY: Record<string, string[]> = { deploy: ["building", "staging", "canary", "promoting"], rollback: ["promoting"] };
/** A queue that was left at once is not worth a rung. */
const QUEUE_SHOWN_MS = 1000;

const inQueue = (step: DeployStep): boolean =>
  step.name === "queued" && step.finished_at !== null && step.finished_at !== undefined && Date.parse(step.finished_at) - Date.parse(step.started_at) < QUEUE_SHOWN_MS;

export function ladder(deploy: Pick<Deploy, "steps" | "state" | "kind">): Rung[] {
  const taken = deploy.steps.filter((step) => !inQueue(step)).map((step) => ({ ...step, name: NAMES[step.name] ?? step.name }));
  const leaving = ["rolling_back", "held", "needs_human"].includes(deploy.state);
  if (!isRunning(deploy.state) || leaving) return taken;
  const names = deploy.steps.map(({ name }) => name);
  const way = WAY[deploy.kind] ?? [];
  const reached = Math.max(-1, ...names.map((name) => way.indexOf(name)));
  return [...taken, ...way.slice(reached + 1).map((name) => ({ name: NAMES[name] ?? name, state: "waiting" }))];
}
