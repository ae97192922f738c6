/** An escalation policy as a form holds it, and back. */
import type { EscalationPolicy, PolicyBody, PolicyStep } from "../../api/types";
import { MINUTE_MS } from "../../lib/time";

export interface TargetForm {
  /** `schedule:NAME`, `person:LOGIN` or `team:NAME`: names of them may be the same. */
  who: string;
  offset: string;
}

export interface StepForm {
  minutes: string;
  turns: boolean;
  targets: TargetForm[];
}

export interface PolicyForm {
  name: string;
  steps: StepForm[];
  repeat: string;
  deployer: boolean;
  within: string;
  lead: string;
  /** Minutes; empty when an acknowledgement holds for good. */
  held: string;
}

export const emptyTarget = (who: string): TargetForm => ({ who, offset: "0" });
export const emptyStep = (who: string): StepForm => ({ minutes: "5", turns: false, targets: [emptyTarget(who)] });
export const emptyPolicy = (who: string): PolicyForm => ({ name: "", steps: [emptyStep(who)], repeat: "1", deployer: false, within: "30", lead: "5", held: "" });

const minutes = (ms: number): string => String(ms / MINUTE_MS);

export function formOf(policy: EscalationPolicy): PolicyForm {
  return {
    name: policy.name,
    steps: policy.steps.map(({ delay_ms, targets, round_robin }) => ({
      minutes: minutes(delay_ms), turns: round_robin ?? false,
      targets: targets.map(({ kind, name, offset }) => ({ who: `${kind}:${name}`, offset: String(offset ?? 0) })),
    })),
    repeat: String(policy.repeat),
    deployer: Boolean(policy.deployer_first),
    within: minutes(policy.deployer_first?.within_ms ?? 30 * MINUTE_MS),
    lead: minutes(policy.deployer_first?.delay_ms ?? 5 * MINUTE_MS),
    held: policy.ack_timeout_ms ? minutes(policy.ack_timeout_ms) : "",
  };
}

function time(text: string, what: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value) || value <= 0) throw new Error(`${what} is a number of minutes above 0.`);
  return Math.round(value * MINUTE_MS);
}

/** Throws a sentence for a person; the limits are the server's. */
export function policyOf(form: PolicyForm): PolicyBody {
  const steps = form.steps.map((step, index): PolicyStep => ({
    delay_ms: time(step.minutes, `The wait of step ${index + 1}`),
    targets: step.targets.map(({ who, offset }) => {
      const [kind, name] = [who.slice(0, who.indexOf(":")), who.slice(who.indexOf(":") + 1)];
      if (!name) throw new Error(`Step ${index + 1} has a target without a name.`);
      if (kind !== "schedule") return { kind: kind === "team" ? kind : "person", name };
      return { kind, name, ...(Number(offset) > 0 ? { offset: Number(offset) } : {}) };
    }),
    ...(step.turns && step.targets.length > 1 ? { round_robin: true } : {}),
  }));
  return {
    steps,
    repeat: Number(form.repeat) || 0,
    ...(form.deployer ? { deployer_first: { within_ms: time(form.within, "How long after a deploy"), delay_ms: time(form.lead, "The time the deployer has") } } : {}),
    ...(form.held.trim() ? { ack_timeout_ms: time(form.held, "How long an acknowledgement holds") } : {}),
  };
}
