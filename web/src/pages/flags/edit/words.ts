/** A definition as lines of words, and what differs between two of them: the same lines for the editor, conflicts and history. */
import type { Flag, FlagStrategy, FlagVariant } from "../../../api/types";
import { DEFAULT_PROJECT } from "../list/rows";
import { constraintWords } from "./operators";
import { percentOf } from "./weights";
import type { Draft, DraftEnvironment } from "./draft";

const RULE: Record<string, string> = {
  default: "everybody",
  userWithId: "people by id",
  remoteAddress: "addresses",
  applicationHostname: "hosts",
  gradualRolloutUserId: "a share by userId",
  gradualRolloutSessionId: "a share by sessionId",
  gradualRolloutRandom: "a share by chance",
};

export function ruleWords({ name, parameters = {} }: FlagStrategy): string {
  const { rollout, stickiness, groupId, ...rest } = parameters;
  if (name === "flexibleRollout") return `${rollout ?? "?"} % by ${stickiness && stickiness !== "default" ? stickiness : "userId, else sessionId"}, group ${groupId ?? "of its own"}`;
  const others = Object.entries({ ...rest, ...(groupId ? { groupId } : {}) }).map(([key, value]) => `${key} ${value}`);
  return [RULE[name] ?? name, ...others].join(", ");
}

const shown = (value: unknown): string => JSON.stringify(value);

function variantWords(variants: FlagVariant[], variant: FlagVariant): string {
  const value = variant.value !== undefined && variant.value !== null ? ` = ${shown(variant.value)}` : variant.payload ? ` = ${variant.payload.type} ${variant.payload.value}` : "";
  const overrides = (variant.overrides ?? []).map((one) => `, always for ${one.contextName} ${(one.values ?? []).join(", ")}`).join("");
  const sticky = variant.stickiness && variant.stickiness !== "default" ? `, by ${variant.stickiness}` : "";
  return `variant ${variant.name} ${percentOf(variants, variant.weight)} %${value}${sticky}${overrides}`;
}

export function environmentLines(name: string, of: DraftEnvironment, segments: Map<number, string> = new Map()): string[] {
  const lines: string[] = [];
  of.strategies.forEach((strategy, index) => {
    lines.push(`${name}, strategy ${index + 1}: ${ruleWords(strategy)}`);
    for (const one of strategy.constraints ?? []) lines.push(`${name}, strategy ${index + 1}, only if ${constraintWords(one)}`);
    for (const id of strategy.segments ?? []) lines.push(`${name}, strategy ${index + 1}, in segment ${segments.get(id) ?? id}`);
    for (const one of strategy.variants ?? []) lines.push(`${name}, strategy ${index + 1}, ${variantWords(strategy.variants ?? [], one)}`);
  });
  for (const one of of.variants) lines.push(`${name}, ${variantWords(of.variants, one)}`);
  if (of.variants.length > 0) lines.push(`${name}, weights sum to ${of.variants.reduce((sum, { weight }) => sum + weight, 0)}`);
  if (of.off_value !== undefined && of.off_value !== null) lines.push(`${name}, off value ${shown(of.off_value)}`);
  return lines;
}

export function definitionLines(of: Draft | Flag, segments?: Map<number, string>): string[] {
  const lines = [
    `description: ${of.description || "none"}`,
    `project: ${of.project || DEFAULT_PROJECT}`,
    `kind: ${of.kind.replace("_", " ")}`,
    `owner: ${of.owner || "nobody"}`,
    `expires: ${of.expires_at ? of.expires_at.slice(0, 10) : "never"}`,
    `impression events: ${of.impression_data ? "sent" : "not sent"}`,
    ...((of.tags ?? []).length > 0 ? [`tags: ${(of.tags ?? []).join(", ")}`] : []),
    ...of.dependencies.map((one) => `parent: ${one.feature} ${one.enabled === false ? "off" : "on"}${one.variants?.length ? ` with ${one.variants.join(" or ")}` : ""}`),
  ];
  for (const [name, state] of Object.entries(of.environments).sort()) {
    lines.push(...environmentLines(name, { strategies: state.strategies ?? [], variants: state.variants ?? [], off_value: state.off_value }, segments));
  }
  return lines;
}

export interface Change {
  sign: "+" | "−";
  text: string;
}

/** The lines only one side has, in order, by their longest common sequence. */
export function diffLines(before: string[], after: string[]): Change[] {
  const [n, m] = [before.length, after.length];
  const longest = Array.from({ length: n + 1 }, () => new Array<number>(m + 1).fill(0));
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      longest[i]![j] = before[i] === after[j] ? longest[i + 1]![j + 1]! + 1 : Math.max(longest[i + 1]![j]!, longest[i]![j + 1]!);
    }
  }
  const changes: Change[] = [];
  let [i, j] = [0, 0];
  while (i < n || j < m) {
    if (i < n && j < m && before[i] === after[j]) [i, j] = [i + 1, j + 1];
    else if (i < n && (j >= m || longest[i + 1]![j]! >= longest[i]![j + 1]!)) changes.push({ sign: "−", text: before[i++]! });
    else changes.push({ sign: "+", text: after[j++]! });
  }
  return changes;
}
