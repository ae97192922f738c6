/** Where a refusal belongs: the server's sentence names the place, and the words after it stand at that field. */
import type { FlagStrategy } from "../../../api/types";
import type { Draft } from "./draft";

export interface Refusal {
  environment?: string;
  /** Positions from 0. */
  strategy?: number;
  constraint?: number;
  variant?: string;
  /** `rollout`, `groupId`, `stickiness`, ... */
  parameter?: string;
  about?: "segments" | "parents" | "off_value" | "variants" | "description" | "owner";
  text: string;
}

const CONSTRAINT = /^the constraint (\S+) on `([^`]*)`: (.*)$/s;

function constraintAt(strategy: FlagStrategy | undefined, operator: string, field: string): number | undefined {
  const list = strategy?.constraints ?? [];
  const at = list.findIndex((one) => one.operator === operator && one.contextName.startsWith(field.replace(/\.\.\.$/, "")));
  return at < 0 ? undefined : at;
}

export function locate(sentence: string, draft: Draft): Refusal {
  let text = sentence.replace(/^flag `[^`]*`: /, "");
  const out: Refusal = { text };
  const environment = /^in ([A-Za-z0-9._~-]+), (.*)$/s.exec(text);
  if (environment) {
    out.environment = environment[1]!;
    text = environment[2]!;
  }
  const strategy = /^strategy (\d+) \(`[^`]*`\): (.*)$/s.exec(text);
  if (strategy) {
    out.strategy = Number(strategy[1]) - 1;
    text = strategy[2]!;
  }
  const constraint = CONSTRAINT.exec(text);
  if (constraint && out.strategy !== undefined && out.environment) {
    const at = constraintAt(draft.environments[out.environment]?.strategies[out.strategy], constraint[1]!, constraint[2]!);
    if (at !== undefined) out.constraint = at;
    text = constraint[3]!;
  }
  const variant = /variant `([^`]*)`/.exec(text);
  if (variant) out.variant = variant[1]!;
  else if (/variants|weights/.test(text)) out.about = "variants";
  const parameter = /^`(rollout|percentage)` is|^(groupId|stickiness|userIds|IPs|hostNames) |^the parameter `(\w+)`/.exec(text);
  if (parameter && out.strategy !== undefined) out.parameter = parameter[1] ?? parameter[2] ?? parameter[3]!;
  if (/segment/.test(text) && out.strategy !== undefined) out.about = "segments";
  if (/parent/.test(text) && out.environment === undefined) out.about = "parents";
  if (/^the off value/.test(text)) out.about = "off_value";
  if (/^description/.test(text)) out.about = "description";
  if (/^owner/.test(text)) out.about = "owner";
  out.text = text.charAt(0).toUpperCase() + text.slice(1);
  return out;
}
