/** What is chosen on a dashboard's page and stands as `$name` in its queries. The choice is in the address, as `var-NAME`. */
import { useMemo } from "react";
import { labelValues, niceStep } from "../api/promql";
import type { Panel, Variable } from "../api/types";
import { useQuery } from "../api/useQuery";
import { useParams } from "../router/router";
import type { Range } from "./range";

export const ALL = "$all";

export type Values = Record<string, string>;

const NAMES = /\$(?:\{(\w+)\}|([A-Za-z_]\w*))/g;

/** A text inside PromQL's quotes of either kind. */
const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("'", "\\'").replaceAll("\n", "\\n");

/** A text that a regular expression takes for itself. */
const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Whether what stands before it opens a matcher by regular expression. */
const inRegex = (before: string): boolean => /[=!]~\s*(?:"(?:[^"\\]|\\.)*|'(?:[^'\\]|\\.)*)$/.test(before);

const SCRAPE_S = 15;

/** The query as it is asked: what is not known stays as it is, so that the server says what is wrong. */
export function fill(expr: string, values: Values, range: Range): string {
  const length = (range.toMs - range.fromMs) / 1000;
  const step = niceStep(length);
  const builtIn: Values = { __interval: `${step}s`, __rate_interval: `${Math.max(step + SCRAPE_S, 4 * SCRAPE_S)}s`, __range: `${Math.round(length)}s` };
  return expr.replace(NAMES, (whole, braced: string | undefined, plain: string | undefined, at: number) => {
    const name = braced ?? plain ?? "";
    const value = builtIn[name] ?? values[name];
    if (value === undefined) return whole;
    if (value === ALL) return ".*";
    return escaped(inRegex(expr.slice(0, at)) ? literal(value) : value);
  });
}

export function filled(panel: Panel, values: Values, range: Range): Panel {
  return { ...panel, queries: panel.queries.map((query) => ({ ...query, expr: fill(query.expr, values, range) })) };
}

/** The names that a text asks for. */
export const namesIn = (text: string): string[] => [...text.matchAll(NAMES)].map((found) => found[1] ?? found[2] ?? "");

/** The values on offer; of a label they are asked from the server. */
export function useOptions(variable: Variable, values: Values, range: Range): { options: string[]; loading: boolean; error: string | null } {
  const { label } = variable;
  const of = variable.of ? fill(variable.of, values, range) : "";
  const asked = useQuery(label ? `label-values:${label}:${of}` : null, () => labelValues(label ?? "", of));
  return useMemo(() => {
    const options = label ? (asked.data ?? []) : (variable.values ?? []);
    return { options: variable.all ? [ALL, ...options] : options, loading: Boolean(label) && asked.loading, error: asked.error?.message ?? null };
  }, [label, asked.data, asked.loading, asked.error, variable.values, variable.all]);
}

/** What the address says, or what comes first. */
export function useChoices(variables: Variable[]): [Values, (name: string, value: string) => void] {
  const params = useParams();
  const key = variables.map(({ name }) => params.get(`var-${name}`)).join("\n");
  const values = useMemo(() => {
    const chosen: Values = {};
    for (const variable of variables) {
      const value = params.get(`var-${variable.name}`, variable.all ? ALL : (variable.values?.[0] ?? ""));
      if (value) chosen[variable.name] = value;
    }
    return chosen;
    // The choices are named by the key.
  }, [variables, key]);
  return [values, (name, value) => params.set({ [`var-${name}`]: value })];
}
