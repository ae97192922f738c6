/** What a chart shows, in words: for screen readers, and beside its table. */
import type { Marker } from "../api/types";
import { format, plural } from "../lib/units";
import { KINDS } from "./markers";

export interface Line {
  label: string;
  /** A limit that is no measurement: drawn thin and dashed in the critical colour, or in that of a warning; left out of the words. */
  limit?: boolean | "warning";
  /** A bound of the line before it: the two bounds are drawn faintly, and what lies between them is filled. */
  edge?: "low" | "high";
  values: (number | null)[];
  /** Of which of the panel's queries it is, from 0; known where series are told apart by it. */
  query?: number;
  /** What is set for it alone, instead of what the graph has. */
  unit?: string;
  decimals?: number;
  /** `#rrggbb` */
  colour?: string;
  /** On the axis at the right. */
  right?: boolean;
  dashed?: boolean;
  unstacked?: boolean;
  /** It is drawn below the axis, and stacked with others there. */
  below?: boolean;
  width?: number;
  /** How strongly what is below it is filled, 0 to 1. */
  fill?: number;
}

/** A value of a line, in the line's own unit where it has one. */
export const lineText = (line: Line, value: number | null | undefined, unit: string): string => format(value, line.unit ?? unit, line.decimals);

/** Which colour a line has: a bound has that of the line it bounds. */
export function colourOf(lines: Line[], index: number): number {
  let of = index;
  while (of > 0 && lines[of]?.edge) of -= 1;
  return of;
}

/** Pairs of bounds, the high one first. */
export function bandsOf(lines: Line[]): [number, number][] {
  return lines.flatMap((line, high): [number, number][] => {
    if (line.edge !== "high") return [];
    const low = lines.findIndex((other, at) => other.edge === "low" && colourOf(lines, at) === colourOf(lines, high));
    return low < 0 ? [] : [[high, low]];
  });
}

export function lastValue(values: (number | null)[]): number | null {
  for (let index = values.length - 1; index >= 0; index -= 1) {
    const value = values[index];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

function oneLine(line: Line, unit: string): string {
  const spread = spreadOf(line.values);
  if (!spread) return `${line.label}: no data.`;
  return `${line.label}: now ${lineText(line, lastValue(line.values), unit)}, lowest ${lineText(line, spread.low, unit)}, highest ${lineText(line, spread.high, unit)}.`;
}

export interface Spread {
  low: number;
  mean: number;
  high: number;
}

/** Of the values that are there; null when none is. */
export function spreadOf(values: (number | null)[]): Spread | null {
  const known = values.filter((value): value is number => value !== null);
  if (known.length === 0) return null;
  const [low, high, sum] = known.reduce(([low, high, sum], value): [number, number, number] => [Math.min(low, value), Math.max(high, value), sum + value], [Infinity, -Infinity, 0] as [number, number, number]);
  return { low, mean: sum / known.length, high };
}

const LINES_MAX = 6;

/** How many marks of each kind there are, as a sentence behind others. */
export function marksWords(markers: Marker[]): string {
  const counted = (Object.keys(KINDS) as Marker["kind"][])
    .map((kind) => [kind, markers.filter((marker) => marker.kind === kind).length] as const)
    .filter(([, n]) => n > 0)
    .map(([kind, n]) => plural(n, KINDS[kind].one, KINDS[kind].many));
  return counted.length > 0 ? ` Marked: ${counted.join(", ")}.` : "";
}

export function summary(title: string, unit: string, lines: Line[], markers: Marker[], rangeText: string): string {
  if (lines.length === 0) return `${title}, ${rangeText}: no data.`;
  const measured = lines.filter(({ limit }) => !limit);
  const shown = measured.slice(0, LINES_MAX).map((line) => oneLine(line, unit));
  const rest = measured.length > LINES_MAX ? ` And ${measured.length - LINES_MAX} more.` : "";
  return `${title}, ${rangeText}. ${shown.join(" ")}${rest}${marksWords(markers)}`;
}
