/**
 * What is chosen on a dashboard's page and stands as `$name` in its queries. The choice is in the address, as `var-NAME`, once for
 * each of several.
 */
import { useMemo } from "react";
import { labelValues, niceStep } from "../api/promql";
import type { Panel, Variable } from "../api/types";
import { useQuery } from "../api/useQuery";
import { useParams } from "../router/router";
import type { Range } from "./range";

export const ALL = "$all";

/** One value of each variable, or several. */
export type Values = Record<string, string | string[]>;

const NAMES = /\$(?:\{(\w+)\}|([A-Za-z_]\w*))/g;

/** A text inside PromQL's quotes of either kind. */
const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replace(/["'\n\r]/g, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`);

/** A text that a regular expression takes for itself. */
const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Whether what stands before it opens a matcher by regular expression. */
const inRegex = (before: string): boolean => /[=!]~\s*(?:"(?:[^"\\]|\\.)*|'(?:[^'\\]|\\.)*)$/.test(before);

const STRING = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`([^`]*)`/g;

/** Between backquotes there are no escapes: what a variable stands in is written between the others. */
const cooked = (query: string): string => query.replace(STRING, (whole, raw: string | undefined) => (raw?.includes("$") ? `"${raw.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"` : whole));

/** A matcher whose whole text is a variable. */
const MATCHER = /(!?=)(\s*)(["'])\$(?:\{(\w+)\}|([A-Za-z_]\w*))\3/g;

const listed = (value: string | string[]): string[] => (typeof value === "string" ? [value] : value);
const isAll = (values: string[]): boolean => values.includes(ALL);

/** `job="$job"` asks for one; with several chosen, whoever wrote it means any of them. */
const anyOf = (expr: string, values: Values): string =>
  expr.replace(MATCHER, (whole, sign: string, space: string, quote: string, braced: string | undefined, plain: string | undefined) => {
    const name = braced ?? plain ?? "";
    const chosen = listed(values[name] ?? []);
    return chosen.length > 1 || isAll(chosen) ? `${sign === "=" ? "=~" : "!~"}${space}${quote}\${${name}}${quote}` : whole;
  });

function text(chosen: string[], regex: boolean): string {
  if (isAll(chosen)) return ".*";
  const each = regex ? chosen.map(literal) : chosen;
  return escaped(each.length > 1 ? `(${each.join("|")})` : (each[0] ?? ""));
}

const SCRAPE_S = 15;

/** The query as it is asked: what is not known stays as it is, so that the server says what is wrong. */
export function fill(query: string, values: Values, range: Range): string {
  const length = (range.toMs - range.fromMs) / 1000;
  const step = niceStep(length);
  const builtIn: Record<string, string> = {
    __interval: `${step}s`, __interval_ms: String(step * 1000), __rate_interval: `${Math.max(step + SCRAPE_S, 4 * SCRAPE_S)}s`,
    __range: `${Math.round(length)}s`, __range_s: String(Math.round(length)), __range_ms: String(Math.round(length * 1000)),
    __from: String(Math.round(range.fromMs)), __to: String(Math.round(range.toMs)),
  };
  const expr = anyOf(cooked(query), values);
  return expr.replace(NAMES, (whole, braced: string | undefined, plain: string | undefined, at: number) => {
    const name = braced ?? plain ?? "";
    const chosen = listed(builtIn[name] ?? values[name] ?? []);
    return chosen.length === 0 ? whole : text(chosen, inRegex(expr.slice(0, at)));
  });
}

/** What is chosen after a press on one value: all is never beside others, and something is always chosen. */
export function toggled(chosen: string[], value: string, all: boolean): string[] {
  if (value === ALL) return [ALL];
  const others = chosen.filter((one) => one !== ALL && one !== value);
  const next = chosen.includes(value) ? others : [...others, value];
  return next.length > 0 ? next : all ? [ALL] : chosen;
}

/** Each value that a repeated panel stands for. */
export function eachOf(chosen: string | string[] | undefined, options: string[]): string[] {
  const values = listed(chosen ?? []);
  return isAll(values) ? options.filter((one) => one !== ALL) : values;
}

/** What is chosen, in the words of a title or a legend. */
export function named(words: string, values: Values): string {
  return words.replace(NAMES, (whole, braced: string | undefined, plain: string | undefined) => {
    const chosen = listed(values[braced ?? plain ?? ""] ?? []);
    return chosen.length === 0 ? whole : isAll(chosen) ? "all" : chosen.join(", ");
  });
}

export function filled(panel: Panel, values: Values, range: Range): Panel {
  const queries = panel.queries.map((query) => ({ ...query, expr: fill(query.expr, values, range), ...(query.legend ? { legend: named(query.legend, values) } : {}) }));
  return { ...panel, title: named(panel.title, values), queries };
}


/** Those in which a regular expression finds something, or what its first group finds, each once; all when it is none. */
export function matching(values: string[], regex: string | null | undefined): string[] {
  if (!regex) return values;
  let found: RegExp;
  try {
    found = new RegExp(regex);
  } catch {
    return values;
  }
  const kept = values.flatMap((value) => {
    const hit = found.exec(value);
    return hit ? [hit[1] ?? value] : [];
  });
  return [...new Set(kept)];
}

/** The values on offer; of a label they are asked from the server. */
export function useOptions(variable: Variable, values: Values, range: Range): { options: string[]; loading: boolean; error: string | null } {
  const { label } = variable;
  const of = variable.of ? fill(variable.of, values, range) : "";
  const asked = useQuery(label ? `label-values:${label}:${of}` : null, () => labelValues(label ?? "", of));
  return useMemo(() => {
    const options = label ? matching(asked.data ?? [], variable.regex) : (variable.values ?? []);
    return { options: variable.all ? [ALL, ...options] : options, loading: Boolean(label) && asked.loading, error: asked.error?.message ?? null };
  }, [label, asked.data, asked.loading, asked.error, variable.values, variable.regex, variable.all]);
}

/** What the address says, or what comes first. */
export function useChoices(variables: Variable[]): [Values, (name: string, value: string | string[]) => void] {
  const params = useParams();
  const key = variables.map(({ name }) => params.all(`var-${name}`).join("\t")).join("\n");
  const values = useMemo(() => {
    const chosen: Values = {};
    for (const { name, multi, all, values: list } of variables) {
      const told = params.all(`var-${name}`).filter(Boolean);
      const known = told.length > 0 ? told : [all ? ALL : list?.[0]].filter((one) => one !== undefined);
      const [first] = known;
      if (first !== undefined) chosen[name] = multi ? known : first;
    }
    return chosen;
    // The choices are named by the key.
  }, [variables, key]);
  return [values, (name, value) => params.set({ [`var-${name}`]: value })];
}
