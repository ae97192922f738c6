/** The graphs of how a flag is used: by outcome, and by the variant that clients were given. */
import type { Panel } from "../../api/types";

/** Counts of a flag in one environment, each second. A key has no sign that a label's value must escape. */
export function usagePanels(flag: string, environment: string): { outcomes: Panel; variants: Panel } {
  const by = `flag="${flag}",environment="${environment}"`;
  const perSecond = (label: string, metric: string): string => `sum by (${label}) (rate(${metric}{${by}}[2m]))`;
  return {
    outcomes: { title: "Answers by outcome", unit: "ops", queries: [{ expr: perSecond("enabled", "tenfold_flag_evaluations_total"), legend: "enabled={{enabled}}" }] },
    variants: { title: "Answers by variant", unit: "ops", queries: [{ expr: perSecond("variant", "tenfold_flag_variants_total"), legend: "{{variant}}" }] },
  };
}
