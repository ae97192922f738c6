/**
 * What is chosen on a dashboard's page and stands as `$name` in its queries. The choice is in the address, as `var-NAME`, once for
 * each of several.
 */
import { useCallback, useMemo, useState } from "react";
import { labelValues, niceStep, queryInstant, type InstantSample } from "../api/promql";
import type { DashboardLink, JobInterval, Panel, Variable } from "../api/types";
import { useQuery } from "../api/useQuery";
import { useParams } from "../router/router";
import { FILTERS, isMatcher, withMatchers } from "./filters";
import type { Range } from "./range";
import { INTERVAL, RATE, rateInterval, scrapedEvery, waits } from "./scraped";

export const ALL = "$all";

/** One value of each variable, or several; the matchers of all filters together. */
export type Values = Record<string, string | string[]>;

const NAMES = /\$(?:\{(\w+)\}|([A-Za-z_]\w*))/g;

/** A text inside PromQL's quotes of either kind. */
const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replace(/["'\n\r]/g, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`);

/** A text that a regular expression takes for itself. */
const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Whether what stands before it opens a matcher by regular expression. */
const inRegex = (before: string): boolean => /[=!]~\s*(?:"(?:[^"\\]|\\.)*|'(?:[^'\\]|\\.)*)$/.test(before);

/** Whether what stands before it opens a list of labels. */
const inLabels = (before: string): boolean => /\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*$/i.test(before);

const STRING = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`([^`]*)`/g;

/** Between backquotes there are no escapes: what a variable stands in is written between the others. */
const cooked = (query: string): string => query.replace(STRING, (whole, raw: string | undefined) => (raw?.includes("$") ? `"${raw.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"` : whole));

/** A matcher whose whole text is a variable. */
const MATCHER = /(!?=)(\s*)(["'])\$(?:\{(\w+)\}|([A-Za-z_]\w*))\3/g;

const listed = (value: string | string[]): string[] => (typeof value === "string" ? [value] : value);

/** Where it stands what all values of a variable are, and where of one that offers some of what there is; no name has such signs. */
const eachKey = (name: string): string => `${ALL}:${name}`;
const someKey = (name: string): string => `${ALL}~${name}`;

/** A longer list is no query any more: all stands for anything there. */
const EACH_MAX = 500;

/** The values of what is chosen, with what is on offer beside it: all of them cannot always be asked for as anything. */
export function withOffered(values: Values, variables: Variable[], offered: Record<string, string[]>): Values {
  const next = { ...values };
  for (const { name, values: list, regex, query } of variables) {
    const each = (list ?? offered[name] ?? []).filter((one) => one !== ALL);
    if (each.length === 0 || each.length > EACH_MAX || !isAll(listed(values[name] ?? []))) continue;
    next[eachKey(name)] = each;
    if (regex || query) next[someKey(name)] = each;
  }
  return next;
}

const isAll = (values: string[]): boolean => values.includes(ALL);

/** `job="$job"` asks for one; with several chosen, whoever wrote it means any of them. */
const anyOf = (expr: string, values: Values): string =>
  expr.replace(MATCHER, (whole, sign: string, space: string, quote: string, braced: string | undefined, plain: string | undefined) => {
    const name = braced ?? plain ?? "";
    const chosen = listed(values[name] ?? []);
    return chosen.length > 1 || isAll(chosen) ? `${sign === "=" ? "=~" : "!~"}${space}${quote}\${${name}}${quote}` : whole;
  });

/** `all` are the values that all stands for, where it is not for anything. */
function text(chosen: string[], regex: boolean, all: string[]): string {
  if (isAll(chosen)) return regex && all.length > 0 ? text(all, regex, []) : ".*";
  const each = regex ? chosen.map(literal) : chosen;
  return escaped(each.length > 1 ? `(${each.join("|")})` : (each[0] ?? ""));
}

/** A window shorter than the time between two samples is mostly empty. */
function withInterval(query: string, targets: string, step: number, scraped: JobInterval[] = []): string {
  if (query.search(INTERVAL) < 0) return query;
  const seconds = scraped.length > 0 ? Math.max(step, Math.ceil(scrapedEvery(targets, scraped))) : step;
  return query.replace(INTERVAL, (_, braced: string | undefined, plain: string | undefined) => ((braced ?? plain) ? String(seconds * 1000) : `${seconds}s`));
}

/** The query as it is asked: what is not known stays as it is, so that the server says what is wrong. */
export function fill(query: string, values: Values, range: Range): string {
  const length = (range.toMs - range.fromMs) / 1000;
  const step = range.step ?? niceStep(length);
  const builtIn: Record<string, string> = {
    __range: `${Math.round(length)}s`, __range_s: String(Math.round(length)), __range_ms: String(Math.round(length * 1000)),
    __from: String(Math.round(range.fromMs)), __to: String(Math.round(range.toMs)),
  };
  const expr = anyOf(cooked(query), values);
  const asked = expr.replace(NAMES, (whole, braced: string | undefined, plain: string | undefined, at: number) => {
    const name = braced ?? plain ?? "";
    const chosen = listed(builtIn[name] ?? values[name] ?? []);
    if (chosen.length === 0) return whole;
    const before = expr.slice(0, at);
    const labels = isAll(chosen) ? listed(values[eachKey(name)] ?? []) : chosen;
    return inLabels(before) && labels.length > 0 ? labels.join(", ") : text(chosen, inRegex(before), listed(values[someKey(name)] ?? []));
  });
  const filters = listed(values[FILTERS] ?? []);
  // It goes by the targets that the query and the filters name, which are known now.
  const targets = [asked, ...filters].join(" ");
  const rated = asked.search(RATE) < 0 || range.waits ? asked : asked.replace(RATE, `${rateInterval(targets, step, range.scraped)}s`);
  return withMatchers(withInterval(rated, targets, step, range.scraped), filters);
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

/** Values stand in an address as one part of it; of several each, where the name is that of a choice. */
function inAddress(to: string, values: Values): string {
  const [path = "", query] = to.split("?");
  const fillIn = (words: string): string => words.replace(NAMES, (whole, braced: string | undefined, plain: string | undefined) => {
    const chosen = listed(values[braced ?? plain ?? ""] ?? []);
    return chosen.length === 0 ? whole : encodeURIComponent(chosen.join(","));
  });
  if (query === undefined) return fillIn(path);
  const parts = query.split("&").flatMap((part) => {
    const [, name, braced, plain] = /^(var-\w+)=\$(?:\{(\w+)\}|([A-Za-z_]\w*))$/.exec(part) ?? [];
    const chosen = name ? listed(values[braced ?? plain ?? ""] ?? []) : [];
    return chosen.length > 0 ? chosen.map((value) => `${name}=${encodeURIComponent(value)}`) : [fillIn(part)];
  });
  return `${fillIn(path)}?${parts.join("&")}`;
}

export const filledLinks = (links: DashboardLink[] | undefined, values: Values): DashboardLink[] =>
  (links ?? []).map((link) => ({ ...link, title: named(link.title, values), to: inAddress(link.to, values) }));

export function filled(panel: Panel, values: Values, range: Range): Panel {
  const queries = panel.queries.map((query) => ({ ...query, expr: fill(query.expr, values, range), ...(query.legend ? { legend: named(query.legend, values) } : {}) }));
  return {
    ...panel, title: named(panel.title, values), queries,
    ...(panel.text ? { text: named(panel.text, values) } : {}),
    ...(panel.links ? { links: filledLinks(panel.links, values) } : {}),
  };
}

/** What stands where nobody chooses: all values of a label; of a list what it opens with, or its first. */
export function overview(variables: Variable[] = []): Values {
  const values: Values = {};
  const matchers = variables.flatMap(({ filters, values: list = [] }) => (filters ? list : []));
  if (matchers.length > 0) values[FILTERS] = matchers;
  for (const { name, label, free, filters, multi, first: opens = [], values: list } of variables) {
    if (filters) continue;
    const first = label ? ALL : multi && opens.length > 0 ? opens : (opens[0] ?? list?.[0] ?? (free ? "" : undefined));
    if (first !== undefined) values[name] = first;
  }
  return values;
}

/** What is chosen, and what it is called there. */
export interface Offered {
  value: string;
  text: string;
}

const FLAGGED = /^\/(.+)\/([gimsu]+)$/s;

/** `PATTERN`, or `/PATTERN/FLAGS` where it has flags; null when it is none. */
function readRegex(regex: string): RegExp | null {
  const [, pattern = regex, flags = ""] = FLAGGED.exec(regex) ?? [];
  try {
    return new RegExp(pattern, flags);
  } catch {
    return null;
  }
}

/** Why nothing is filtered. */
export const wrongRegex = (regex: string | null | undefined): string | null => (regex && !readRegex(regex) ? `Its filter ${regex} is no regular expression of this browser: all values are offered.` : null);

/**
 * Those in which a regular expression finds something, each once; all when it is none. As in Grafana its first group is what is
 * taken, or its groups `value` and `text`; with the flag `g` the first group of each place.
 */
export function offeredBy(values: string[], regex: string | null | undefined): Offered[] {
  const found = regex ? readRegex(regex) : null;
  const plain = (value: string): Offered => ({ value, text: value });
  if (!found) return values.map(plain);
  const kept = values.flatMap((value): Offered[] => {
    const one = found.global ? null : found.exec(value);
    const hits = found.global ? [...value.matchAll(found)] : one ? [one] : [];
    if (hits.length === 0) return [];
    const of = (name: string): string | undefined => hits.map(({ groups }) => groups?.[name]).find(Boolean);
    const [told, called] = [of("value"), of("text")];
    const taken = told ?? called;
    if (taken !== undefined) return [{ value: taken, text: called ?? taken }];
    const firsts = hits.flatMap((hit) => (hit[1] === undefined ? [] : [hit[1]]));
    return firsts.length > 0 ? firsts.map(plain) : [plain(value)];
  });
  const seen = new Set<string>();
  return kept.filter(({ value }) => !seen.has(value) && seen.add(value));
}

export const matching = (values: string[], regex: string | null | undefined): string[] => offeredBy(values, regex).map(({ value }) => value);

/** A series as text, for a regular expression to find something in. */
export function sampleText({ labels: { __name__ = "", ...labels }, value }: InstantSample): string {
  const pairs = Object.entries(labels).map(([name, of]) => `${name}="${of}"`);
  return `${__name__}{${pairs.join(",")}} ${value ?? ""}`.trim();
}

/** The values on offer; of a label and a query they are asked from the server. */
export function useOptions(variable: Variable, values: Values, range: Range): { options: string[]; texts: Map<string, string>; loading: boolean; error: string | null } {
  const { label } = variable;
  // Filters are of what is drawn, not of what can be chosen.
  const { [FILTERS]: _filters, ...chosen } = values;
  const of = variable.of ? fill(variable.of, chosen, range) : "";
  const query = variable.query ? fill(variable.query, chosen, range) : "";
  // Of hosts that went long ago there is nothing to show: values are those of the range.
  const place = range.name ?? `${range.fromMs}-${range.toMs}`;
  const asked = useQuery(
    waits([of, query], range) ? null : label ? `label-values:${place}:${label}:${of}` : query ? `series-values:${place}:${query}` : null,
    async () => (label ? labelValues(label, of, range) : (await queryInstant(query, range.name ? undefined : range.toMs / 1000)).map(sampleText)),
  );
  const isAsked = Boolean(label) || query !== "";
  return useMemo(() => {
    const offered = isAsked ? offeredBy(asked.data ?? [], variable.regex) : [];
    const options = isAsked ? offered.map(({ value }) => value) : (variable.values ?? []);
    const texts = new Map(offered.map(({ value, text: called }) => [value, called]));
    return { options: variable.all ? [ALL, ...options] : options, texts, loading: isAsked && asked.loading, error: asked.error?.message ?? wrongRegex(variable.regex) };
  }, [isAsked, asked.data, asked.loading, asked.error, variable.values, variable.regex, variable.all]);
}

/** What is chosen of the variables that the values of this one go by, as one text. */
export function goesBy({ of, query }: Variable, values: Values): string {
  const names = [...`${of ?? ""} ${query ?? ""}`.matchAll(NAMES)].map(([, braced, plain]) => braced ?? plain ?? "");
  return names.map((name) => listed(values[name] ?? []).join("\t")).join("\n");
}

/** What stays chosen where other values are on offer: those that still are, else the first. */
export function stillChosen(chosen: string[], options: string[]): string[] {
  const kept = chosen.filter((one) => options.includes(one));
  return kept.length > 0 ? kept : options.slice(0, 1);
}

/** The variables, opening with what is chosen now. All values are chosen without being named; filters stay as they are. */
export function openingWith(variables: Variable[], values: Values): Variable[] {
  return variables.map((variable) => {
    const { first: _before, ...rest } = variable;
    const { label, query, free, filters, values: list = [] } = variable;
    if (filters) return variable;
    const chosen = listed(values[variable.name] ?? []).filter(Boolean);
    if (free) return { ...rest, values: chosen.slice(0, 1) };
    const known = isAll(chosen) ? [] : chosen.filter((one) => Boolean(label) || Boolean(query) || list.includes(one));
    return known.length > 0 ? { ...rest, first: known } : rest;
  });
}

/** No filter at all, where some stand there at first. */
export const NO_FILTERS = "$none";

/** The matchers that the address says, or those that stand there at first. */
export const filtersOf = (first: string[], told: string[]): string[] => (told.length === 0 ? first : told.filter(isMatcher));

/** What the address says, or what comes first. */
export function useChoices(variables: Variable[]): [Values, (name: string, value: string | string[]) => void] {
  const params = useParams();
  const key = variables.map(({ name }) => params.all(`var-${name}`).join("\t")).join("\n");
  const values = useMemo(() => {
    const chosen: Values = {};
    const ofFilters = variables.filter(({ filters }) => filters);
    const [first] = ofFilters;
    const matchers = first ? filtersOf(ofFilters.flatMap(({ values: list = [] }) => list), params.all(`var-${first.name}`)) : [];
    if (matchers.length > 0) chosen[FILTERS] = matchers;
    for (const { name, multi, all, free, filters, first: opens = [], values: list } of variables) {
      if (filters) continue;
      const told = params.all(`var-${name}`).filter(Boolean);
      const known = told.length > 0 ? told : opens.length > 0 ? opens : [all ? ALL : (list?.[0] ?? (free ? "" : undefined))].filter((one) => one !== undefined);
      const [one] = known;
      if (one !== undefined) chosen[name] = multi ? known : one;
    }
    return chosen;
    // The choices are named by the key.
  }, [variables, key]);
  return [values, (name, value) => params.set({ [`var-${name}`]: value })];
}

/** What can be chosen of each variable, as far as it was told. */
export function useOffered(): [Record<string, string[]>, (name: string, options: string[]) => void] {
  const [offered, setOffered] = useState<Record<string, string[]>>({});
  const offer = useCallback((name: string, options: string[]) => {
    setOffered((old) => (old[name]?.join("\n") === options.join("\n") ? old : { ...old, [name]: options }));
  }, []);
  return [offered, offer];
}
