/** The form of a guard, and the guard it means. */
import type { Guard, GuardComparison } from "../../api/types";

export interface GuardForm {
  by: "none" | "threshold" | "judge";
  expr: string;
  op: GuardComparison;
  value: string;
  for_ms: number;
  on_fail: "off" | "step_back";
  /** Counters of those with the flag and of those without: failed and all. */
  newBad: string;
  newTotal: string;
  oldBad: string;
  oldTotal: string;
  tolerate: string;
  /** Percent of requests whose failing nobody minds. */
  negligible: string;
}

export const NO_GUARD: GuardForm = {
  by: "none", expr: "", op: "<", value: "", for_ms: 30_000, on_fail: "off",
  newBad: "", newTotal: "", oldBad: "", oldTotal: "", tolerate: "1.25", negligible: "",
};

const number = (text: string): number => (text.trim() === "" ? NaN : Number(text));

function judged(form: GuardForm): Guard | string {
  const tolerate = number(form.tolerate);
  if (![form.newBad, form.newTotal, form.oldBad, form.oldTotal].every((counter) => counter.trim())) return "The judge lacks one of its four counters.";
  if (Number.isNaN(tolerate) || tolerate < 1) return "The judge lacks how many times as often is tolerated, 1 or more.";
  const errors = { new: { bad: form.newBad, total: form.newTotal }, old: { bad: form.oldBad, total: form.oldTotal } };
  const negligible = form.negligible.trim() === "" ? null : number(form.negligible) / 100;
  if (negligible !== null && !(negligible > 0 && negligible < 1)) return "What is negligible is a percentage above 0 and below 100, or empty.";
  return {
    condition: { judge: { errors, tolerate, prove_below: Math.max(1.5, tolerate * 1.2), ...(negligible === null ? {} : { negligible }) } },
    on_fail: form.on_fail,
  };
}

/** Nothing where no guard is wanted; a sentence where it lacks something. */
export function guardOf(form: GuardForm): Guard | string | null {
  if (form.by === "none") return null;
  if (form.by === "judge") return judged(form);
  const value = number(form.value);
  if (!form.expr.trim()) return "The guard lacks its expression.";
  if (Number.isNaN(value)) return "The guard lacks the number to compare with.";
  return { expr: form.expr, condition: { threshold: { op: form.op, value } }, for_ms: form.for_ms, on_fail: form.on_fail };
}
