/** A plan's stages under the names that steps have, and beside the steps that a deploy took. */
import type { Deploy, PlannedStage } from "../../../api/types";
import { ladder, STEP_NAMES } from "../../../parts/steps";
import { plural } from "../../../lib/units";

export interface Stage {
  name: string;
  says: string;
  /** Which hosts, in words. */
  where: string;
  hosts: string[][];
}

const HOSTS_NAMED = 3;

function whereWords(hosts: string[][]): string {
  const all = hosts.flat();
  if (all.length === 0) return "";
  const who = all.length <= HOSTS_NAMED ? all.join(", ") : plural(all.length, "host");
  return hosts.length > 1 ? `${who} in ${plural(hosts.length, "batch", "batches")}` : who;
}

/** Several canaries are told apart by their number. */
export function stages(plan: PlannedStage[]): Stage[] {
  const canaries = plan.filter(({ name }) => name === "canary").length;
  let seen = 0;
  return plan.map(({ name, says, hosts }) => {
    if (name === "canary") seen += 1;
    const called = name === "next_stage" ? "Next stage" : STEP_NAMES[name] ?? name;
    return { name: name === "canary" && canaries > 1 ? `${called} ${seen} of ${canaries}` : called, says, where: whereWords(hosts), hosts };
  });
}

/** What each rung of a running deploy's ladder will do, by its name. */
export function planned(deploy: Deploy, plan: PlannedStage[]): Map<string, Stage> {
  const rungs = new Set(ladder(deploy).map(({ name }) => name));
  return new Map(stages(plan).filter(({ name }) => rungs.has(name)).map((stage) => [stage.name, stage]));
}
