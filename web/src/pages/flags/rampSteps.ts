/** The steps of a ramp as people write them: `1, 5, 25, 100`. */

const STEPS_MAX = 20;

export interface Step {
  percent: number;
  hold_ms: number;
}

/** The steps, or what is wrong with them. */
export function readSteps(text: string, hold_ms: number): Step[] | string {
  const words = text.split(/[\s,;→>]+/).map((word) => word.replace(/%$/, "")).filter(Boolean);
  const wrong = words.find((word) => !/^\d{1,3}(\.\d{1,2})?$/.test(word) || Number(word) > 100);
  if (wrong !== undefined) return `${wrong} is not a percentage from 0 to 100 with at most two decimals.`;
  if (words.length === 0 || words.length > STEPS_MAX) return `A ramp has 1 to ${STEPS_MAX} steps.`;
  const steps = words.map((word) => ({ percent: Number(word), hold_ms }));
  const falls = steps.find(({ percent }, index) => index > 0 && percent <= (steps[index - 1]?.percent ?? 0));
  return falls ? "The steps must rise." : steps;
}
