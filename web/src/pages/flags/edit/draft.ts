/**
 * An edit that is not saved: the editable part of a flag, kept in the browser's session so that a reload loses nothing, and
 * the flag it was made on, so that a change by somebody else in between is seen.
 */
import type { Flag, FlagStrategy, FlagUpdate, FlagVariant } from "../../../api/types";
import { DEFAULT_PROJECT } from "../list/rows";

export interface DraftEnvironment {
  strategies: FlagStrategy[];
  variants: FlagVariant[];
  off_value?: unknown;
}

export interface Draft {
  project: string;
  description: string;
  kind: Flag["kind"];
  owner: string;
  expires_at: string | null;
  impression_data: boolean;
  tags: string[];
  dependencies: Flag["dependencies"];
  environments: Record<string, DraftEnvironment>;
}

const FIELDS = ["project", "description", "kind", "owner", "expires_at", "impression_data", "tags", "dependencies"] as const;
const PARTS = ["strategies", "variants", "off_value"] as const;

export function draftOf(flag: Flag): Draft {
  const environments = Object.entries(flag.environments).map(([name, { strategies, variants, off_value }]) => {
    const part: DraftEnvironment = { strategies, variants };
    if (off_value !== undefined && off_value !== null) part.off_value = off_value;
    return [name, part] as const;
  });
  return {
    project: flag.project || DEFAULT_PROJECT, description: flag.description, kind: flag.kind, owner: flag.owner, expires_at: flag.expires_at ?? null,
    impression_data: flag.impression_data, tags: flag.tags ?? [], dependencies: flag.dependencies, environments: Object.fromEntries(environments),
  };
}

/** Keys in order, and what stands for absent left out: two definitions are the same when these texts are. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    const kept = Object.entries(inner).filter(([, one]) => one !== undefined && one !== null && one !== false && !(Array.isArray(one) && one.length === 0));
    return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
  }) ?? "";
}
export const same = (a: unknown, b: unknown): boolean => canonical(a ?? null) === canonical(b ?? null);

/** Only what differs, as `PUT` takes it; null when nothing does. */
export function updateOf(base: Draft, edited: Draft): FlagUpdate | null {
  const update: Record<string, unknown> = {};
  for (const field of FIELDS) if (!same(base[field], edited[field])) update[field] = edited[field];
  const environments: Record<string, Record<string, unknown>> = {};
  for (const [name, state] of Object.entries(edited.environments)) {
    const before = base.environments[name] ?? { strategies: [], variants: [] };
    const changed = PARTS.filter((part) => !same(before[part], state[part]));
    if (changed.length > 0) environments[name] = Object.fromEntries(changed.map((part) => [part, state[part] ?? (part === "off_value" ? null : [])]));
  }
  if (Object.keys(environments).length > 0) update.environments = environments;
  return Object.keys(update).length > 0 ? (update as FlagUpdate) : null;
}

/** My changes on top of theirs: a piece that I did not touch is as they left it. `both` names what both of us touched. */
export function rebase(base: Draft, mine: Draft, theirs: Draft): { draft: Draft; both: string[] } {
  const both: string[] = [];
  const pick = <T>(what: string, b: T, m: T, t: T): T => {
    if (same(b, m)) return t;
    if (!same(b, t) && !same(m, t)) both.push(what);
    return m;
  };
  const draft: Draft = { ...theirs };
  for (const field of FIELDS) Object.assign(draft, { [field]: pick<unknown>(field.replace("_", " "), base[field], mine[field], theirs[field]) });
  const none: DraftEnvironment = { strategies: [], variants: [] };
  draft.environments = {};
  for (const name of new Set([...Object.keys(theirs.environments), ...Object.keys(mine.environments)])) {
    const [b, m, t] = [base, mine, theirs].map((of) => of.environments[name] ?? none) as [DraftEnvironment, DraftEnvironment, DraftEnvironment];
    const state: DraftEnvironment = {
      strategies: pick(`the strategies in ${name}`, b.strategies, m.strategies, t.strategies),
      variants: pick(`the variants in ${name}`, b.variants, m.variants, t.variants),
    };
    const off = pick<unknown>(`the off value in ${name}`, b.off_value, m.off_value, t.off_value);
    if (off !== undefined && off !== null) state.off_value = off;
    draft.environments[name] = state;
  }
  return { draft, both };
}

/** An edit as the session keeps it. */
export interface Kept {
  version: number;
  base: Draft;
  edited: Draft;
}

const place = (key: string): string => `tenfold.flag.${key}`;

export function keep(key: string, kept: Kept | null): void {
  try {
    if (kept) sessionStorage.setItem(place(key), JSON.stringify(kept));
    else sessionStorage.removeItem(place(key));
  } catch {
    // A full or forbidden session store costs the safety net, not the edit.
  }
}

export function kept(key: string): Kept | null {
  try {
    const text = sessionStorage.getItem(place(key));
    return text ? (JSON.parse(text) as Kept) : null;
  } catch {
    return null;
  }
}
