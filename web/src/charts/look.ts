/** How a panel's values are drawn: on top of each other, on which axis, and from where on they are bad. */
import type { Panel, Threshold } from "../api/types";
import { format } from "../lib/units";
import type { Line } from "./summary";

/** What of a panel's look the canvas of a graph needs; the rest are lines. */
export type Axis = Pick<Panel, "stacked" | "log" | "min" | "max">;

/** Whole powers of ten around what there is. */
export function logRange(low: number | null, high: number | null): [number, number] {
  const top = high !== null && high > 0 ? high : 1;
  const bottom = low !== null && low > 0 ? low : top / 10;
  const ends: [number, number] = [10 ** Math.floor(Math.log10(bottom)), 10 ** Math.ceil(Math.log10(top))];
  return ends[0] < ends[1] ? ends : [ends[0], ends[0] * 10];
}

/**
 * The heights at which lines are drawn: each on those before it where they are stacked, and nothing where a logarithmic axis has
 * no place. Limits and bounds stand by themselves.
 */
export function heights(lines: Line[], { stacked, log }: Axis): (number | null)[][] {
  const below: number[] = [];
  return lines.map(({ values, limit, edge }) => {
    if (stacked && !limit && !edge) {
      return values.map((value, at) => {
        if (value === null) return null;
        const height = (below[at] ?? 0) + value;
        below[at] = height;
        return height;
      });
    }
    return log ? values.map((value) => (value !== null && value > 0 ? value : null)) : values;
  });
}

/** The worst level that a value reaches; null when it is good, or none. */
export function reached(value: number | null, thresholds: Threshold[] = []): Threshold | null {
  if (value === null) return null;
  const passed = thresholds.filter(({ above, below }) => (typeof above === "number" && value >= above) || (typeof below === "number" && value <= below));
  return passed.find(({ level }) => level === "critical") ?? passed[0] ?? null;
}

export const thresholdText = ({ above, below, level }: Threshold, unit: string): string =>
  typeof above === "number" ? `${level}: above ${format(above, unit)}` : `${level}: below ${format(below, unit)}`;

/** A line across a graph for each threshold; of no data there is nothing to compare. */
export function withThresholds(lines: Line[], points: number, unit: string, thresholds: Threshold[] = []): Line[] {
  if (lines.length === 0) return lines;
  return [...lines, ...thresholds.map((threshold): Line => ({
    label: thresholdText(threshold, unit),
    limit: threshold.level === "critical" ? true : "warning",
    values: new Array<number | null>(points).fill(threshold.above ?? threshold.below ?? null),
  }))];
}

const WRITTEN = /^(warning|critical)\s+(above|below)\s+(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/i;

/** `warning above 0.8, critical above 0.9` as somebody types it; null when it is not written like that. */
export function readThresholds(text: string): Threshold[] | null {
  const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
  const read = parts.map((part): Threshold | null => {
    const [, level, side, number] = WRITTEN.exec(part) ?? [];
    if (!level || !side || !number) return null;
    const bound = Number(number);
    const said: Threshold["level"] = level.toLowerCase() === "critical" ? "critical" : "warning";
    return side.toLowerCase() === "above" ? { above: bound, level: said } : { below: bound, level: said };
  });
  const good = read.filter((one): one is Threshold => one !== null);
  return good.length === read.length ? good : null;
}

export const writeThresholds = (thresholds: Threshold[] = []): string =>
  thresholds.map(({ above, below, level }) => (typeof above === "number" ? `${level} above ${above}` : `${level} below ${below}`)).join(", ");
