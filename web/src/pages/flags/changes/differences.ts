/** What a change request would change, in the words that the editor uses. */
import type { FlagStrategy, FlagVariant } from "../../../api/types";
import { diffLines, environmentLines, type Change } from "../edit/words";

/** A flag in one environment as the record tells it. */
interface Told {
  enabled?: boolean;
  off_value?: unknown;
  strategies?: FlagStrategy[];
  variants?: FlagVariant[];
}

function lines(of: unknown, environment: string): string[] {
  const { enabled, off_value, strategies, variants } = (typeof of === "object" && of !== null ? of : {}) as Told;
  const state = typeof enabled === "boolean" ? [`${environment}: ${enabled ? "on" : "off"}`] : [];
  return [...state, ...environmentLines(environment, { strategies: strategies ?? [], variants: variants ?? [], off_value })];
}

export const differences = (before: unknown, after: unknown, environment: string): Change[] => diffLines(lines(before, environment), lines(after, environment));
