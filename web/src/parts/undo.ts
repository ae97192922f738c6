/** Whether a deploy can be rolled back now, and what else that would take back. The server has the last word. */
import type { Deploy } from "../api/types";
import { isRunning } from "../lib/status";

export interface Undo {
  /** Why not; null when it can be. */
  why: string | null;
  /** Newer deploys that would go as well. */
  also: number[];
}

const no = (why: string): Undo => ({ why, also: [] });

/** `recent` are the newest deploys of the same service and environment. */
export function undoOf(number: number, recent: Deploy[]): Undo {
  const deploy = recent.find((one) => one.number === number);
  if (!deploy) return { why: null, also: [] };
  if (deploy.kind === "rollback") return no("It is a rollback itself.");
  if (deploy.reverted_by) return no(`Rollback ${deploy.reverted_by} took it back already.`);
  if (deploy.state === "rolled_back") return no("It went back by itself.");
  if (deploy.state === "rolling_back") return no("It is going back.");
  if (deploy.state === "cancelled" || deploy.state === "failed") return no("It changed no host that still runs it.");
  const running = recent.find((one) => one.number !== number && isRunning(one.state));
  if (running) return no(`Deploy ${running.number} is under way.`);
  if (!deploy.from_sha) return no("Nothing ran before it.");
  const also = recent.filter((one) => one.number > number && one.kind === "deploy" && one.state === "succeeded" && !one.reverted_by).map((one) => one.number);
  return { why: null, also: also.sort((a, b) => a - b) };
}
