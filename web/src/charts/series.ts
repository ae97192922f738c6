/** What a panel sets for single series: which they are, and what becomes of their lines and values. */
import type { Panel, PanelSeries, Threshold } from "../api/types";
import { UNITS } from "../lib/units";
import type { Newest } from "./panels/useNewest";
import type { Axis } from "./look";
import type { Line } from "./summary";

function fits({ name, regex, query }: PanelSeries, label: string, of: number | undefined): boolean {
  if (typeof name === "string") return name === label;
  if (typeof query === "number") return query - 1 === of;
  if (typeof regex !== "string") return true;
  try {
    return new RegExp(regex).test(label);
  } catch {
    return false;
  }
}

/** All that is set for a series; what follows goes before what stands earlier. Null where nothing is. */
export function settingsOf(series: PanelSeries[], label: string, query: number | undefined): PanelSeries | null {
  const fitting = series.filter((one) => fits(one, label, query));
  if (fitting.length === 0) return null;
  const isTold = (value: unknown): boolean => value !== null && value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
  const told = fitting.map((one) => Object.fromEntries(Object.entries(one).filter(([, value]) => isTold(value))));
  return Object.assign({}, ...told) as PanelSeries;
}

/** Lines that were given one name stay two. */
function apart<T extends { label: string }>(all: T[]): T[] {
  const seen = new Map<string, number>();
  return all.map((one) => {
    const before = seen.get(one.label) ?? 0;
    seen.set(one.label, before + 1);
    return before === 0 ? one : { ...one, label: `${one.label} (${before + 1})` };
  });
}

const scaled = (values: (number | null)[], scale: number): (number | null)[] => values.map((value) => (value === null ? null : value * scale));

/** The lines of a graph as its panel wants them; those that are hidden are not among them. */
export function styled(lines: Line[], series: PanelSeries[] = []): Line[] {
  if (series.length === 0) return lines;
  return apart(lines.flatMap((line): Line[] => {
    const set = settingsOf(series, line.label, line.query);
    if (!set) return [line];
    if (set.hidden) return [];
    const scale = set.scale ?? 1;
    return [{
      ...line,
      label: set.title ?? line.label,
      values: scale === 1 ? line.values : scaled(line.values, scale),
      ...(set.unit ? { unit: set.unit } : {}),
      ...(typeof set.decimals === "number" ? { decimals: set.decimals } : {}),
      ...(set.colour ? { colour: set.colour } : {}),
      ...(set.right ? { right: true } : {}),
      ...(set.dashed ? { dashed: true } : {}),
      ...(set.unstacked ? { unstacked: true } : {}),
      ...(scale < 0 ? { below: true } : {}),
      ...(typeof set.line_px === "number" ? { width: set.line_px } : {}),
      ...(typeof set.fill_percent === "number" ? { fill: set.fill_percent / 100 } : {}),
    }];
  }));
}

/** The values of a panel of one value or of bars, as it wants them. */
export function settled(rows: Newest[], series: PanelSeries[] = []): Newest[] {
  if (series.length === 0) return rows;
  return apart(rows.flatMap((row): Newest[] => {
    const set = settingsOf(series, row.label, row.query);
    if (!set) return [row];
    if (set.hidden) return [];
    const scale = set.scale ?? 1;
    return [{
      ...row,
      label: set.title ?? row.label,
      value: row.value === null ? null : row.value * scale,
      ...(row.line ? { line: scaled(row.line, scale) } : {}),
      ...(set.unit ? { unit: set.unit } : {}),
      ...(typeof set.decimals === "number" ? { decimals: set.decimals } : {}),
      ...(set.thresholds && set.thresholds.length > 0 ? { thresholds: set.thresholds } : {}),
    }];
  }));
}

/** Ends of the axis at the right: those of the first that tells one. */
export function rightEnds(series: PanelSeries[] = []): Pick<Axis, "rightMin" | "rightMax"> {
  const first = (end: "min" | "max"): number | null => series.find((one) => one.right && typeof one[end] === "number")?.[end] ?? null;
  return { rightMin: first("min"), rightMax: first("max") };
}

/** What a panel of another kind does not have is taken off: the server refuses it there. */
export function ofKind(series: PanelSeries[] | undefined, kind: NonNullable<Panel["kind"]>): PanelSeries[] {
  if (!series || (kind !== "graph" && kind !== "stat" && kind !== "top")) return [];
  return series.map(({ colour, right, dashed, unstacked, line_px, fill_percent, min, max, thresholds, ...rest }) => (
    kind === "graph"
      ? { ...rest, colour: colour ?? null, right: right ?? false, dashed: dashed ?? false, unstacked: unstacked ?? false, line_px: line_px ?? null, fill_percent: fill_percent ?? null, min: min ?? null, max: max ?? null }
      : { ...rest, thresholds: thresholds ?? [] }
  ));
}

const NUMBER = String.raw`-?\d+(?:\.\d+)?(?:e[+-]?\d+)?`;
const TEXT = String.raw`"(?:[^"\\]|\\.)*"`;
const WHICH = new RegExp(String.raw`^(?:(all)|query\s+([1-9]\d*)|(${TEXT})|/(.+)/)\s*=\s*(.+)$`);
const SETTING = String.raw`\s*(?:as\s+(${TEXT})|in\s+([a-z_]+)|(times|decimals|width|fill|from|to)\s+(${NUMBER})|colour\s+(#[0-9a-fA-F]{6})|(right|dashed|unstacked|hidden)|(warning|critical)\s+(above|below)\s+(${NUMBER}))\s*(?:,|$)`;

function unquoted(text: string): string | null {
  try {
    return String(JSON.parse(text));
  } catch {
    return null;
  }
}

const NUMBERS = { times: "scale", decimals: "decimals", width: "line_px", fill: "fill_percent", from: "min", to: "max" } as const;

function readOne(line: string): PanelSeries | null {
  const [, all, query, name, regex, rest = ""] = WHICH.exec(line) ?? [];
  const quoted = name === undefined ? null : unquoted(name);
  if (!all && !query && !regex && quoted === null) return null;
  const made: PanelSeries = query ? { query: Number(query) } : regex ? { regex } : quoted === null ? {} : { name: quoted };
  const thresholds: Threshold[] = [];
  const each = new RegExp(SETTING, "y");
  while (each.lastIndex < rest.length) {
    const found = each.exec(rest);
    if (!found) return null;
    const [, title, unit, number, value = "", colour, flag, level, side, bound = ""] = found;
    if (title !== undefined) {
      const words = unquoted(title);
      if (!words) return null;
      made.title = words;
    } else if (unit !== undefined) {
      if (!UNITS.includes(unit)) return null;
      made.unit = unit;
    } else if (number !== undefined) {
      made[NUMBERS[number as keyof typeof NUMBERS]] = Number(value);
    } else if (colour !== undefined) {
      made.colour = colour.toLowerCase();
    } else if (flag !== undefined) {
      made[flag as "right" | "dashed" | "unstacked" | "hidden"] = true;
    } else {
      const said: Threshold["level"] = level === "critical" ? "critical" : "warning";
      thresholds.push(side === "above" ? { above: Number(bound), level: said } : { below: Number(bound), level: said });
    }
  }
  return thresholds.length > 0 ? { ...made, thresholds } : made;
}

/** One in each line, like `/tx/ = times -1, colour #315fcf`, as somebody types it; null when one is not written like that. */
export function readSeries(text: string): PanelSeries[] | null {
  const read = text.split("\n").map((line) => line.trim()).filter(Boolean).map(readOne);
  const good = read.filter((one): one is PanelSeries => one !== null);
  return good.length === read.length ? good : null;
}

function writeOne(one: PanelSeries): string {
  const which = typeof one.name === "string" ? JSON.stringify(one.name) : typeof one.regex === "string" ? `/${one.regex}/` : typeof one.query === "number" ? `query ${one.query}` : "all";
  const numbers = (Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]).flatMap((word) => {
    const value = one[NUMBERS[word]];
    return typeof value === "number" ? [`${word} ${value}`] : [];
  });
  const flags = (["right", "dashed", "unstacked", "hidden"] as const).filter((flag) => one[flag]);
  const limits = (one.thresholds ?? []).map(({ above, below, level }) => (typeof above === "number" ? `${level} above ${above}` : `${level} below ${below}`));
  const told = [...(one.title ? [`as ${JSON.stringify(one.title)}`] : []), ...(one.unit ? [`in ${one.unit}`] : []), ...numbers, ...(one.colour ? [`colour ${one.colour}`] : []), ...flags, ...limits];
  return `${which} = ${told.join(", ")}`;
}

/** As `readSeries` takes it. */
export const writeSeries = (series: PanelSeries[] = []): string => series.map(writeOne).join("\n");
