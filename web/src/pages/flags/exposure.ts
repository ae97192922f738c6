/** Whom a flag reaches in one environment, in a word and in a sentence. */
import type { FlagEnvironment } from "../../api/types";
import type { Look } from "../../lib/status";
import { plural } from "../../lib/units";

export function exposure(state: FlagEnvironment): [Look, string] {
  if (state.pending) return ["warning", "Off, not yet in the record"];
  if (!state.enabled) return ["quiet", "Off"];
  if (state.ramp?.state === "running") return ["busy", `Ramping, ${state.rollout_percent ?? 0} %`];
  if (typeof state.rollout_percent === "number" && state.rollout_percent < 100) return ["busy", `On for ${state.rollout_percent} %`];
  if (typeof state.rollout_percent !== "number" && state.strategies.length > 0) return ["busy", "On by strategy"];
  return ["ok", "On"];
}

/** Whom it reaches once it is on. */
export function reaches(state: FlagEnvironment): string {
  if (typeof state.rollout_percent === "number") return state.rollout_percent === 100 ? "everybody" : `${state.rollout_percent} % of people`;
  return `whom its ${plural(state.strategies.length, "strategy", "strategies")} let through`;
}
