/** How a panel's values are drawn: on top of each other, on which axis, over gaps or not, and from where on they are bad. */
import type { Panel, Threshold } from "../api/types";
import { format } from "../lib/units";
import type { Line } from "./summary";

/** What of a panel's look the canvas of a graph needs; the rest are lines. */
export type Axis = Pick<Panel, "stacked" | "log" | "min" | "max" | "nulls" | "connect_max_ms"> & {
  /** Ends of the axis at the right. */
  rightMin?: number | null;
  rightMax?: number | null;
};

/** Whole powers of ten around what there is. */
export function logRange(low: number | null, high: number | null): [number, number] {
  const top = high !== null && high > 0 ? high : 1;
  const bottom = low !== null && low > 0 ? low : top / 10;
  const ends: [number, number] = [10 ** Math.floor(Math.log10(bottom)), 10 ** Math.ceil(Math.log10(top))];
  return ends[0] < ends[1] ? ends : [ends[0], ends[0] * 10];
}

/** Whether a line lies on others in a panel that stacks them. */
export const isStacked = ({ limit, edge, unstacked }: Line): boolean => !limit && !edge && !unstacked;

/** Lines on each side of zero and on each axis are stacked by themselves. */
export const stackOf = ({ below, right }: Line): string => `${below ? "below" : "above"} ${right ? "right" : "left"}`;

/**
 * The heights at which lines are drawn: each on those before it where they are stacked, and nothing where a logarithmic axis has
 * no place. Limits and bounds stand by themselves.
 */
export function heights(lines: Line[], { stacked, log }: Axis): (number | null)[][] {
  const sums = new Map<string, number[]>();
  return lines.map((line) => {
    const { values } = line;
    if (stacked && isStacked(line)) {
      const sum = sums.get(stackOf(line)) ?? [];
      sums.set(stackOf(line), sum);
      return values.map((value, at) => {
        if (value === null) return null;
        const height = (sum[at] ?? 0) + value;
        sum[at] = height;
        return height;
      });
    }
    return log ? values.map((value) => (value !== null && value > 0 ? value : null)) : values;
  });
}

type Values = (number | null)[];

/** Steps at the end of a moving range that may not have their values yet. */
const NOT_YET = 2;

/**
 * 0 where a line has no value, its ends among them. While the range moves, the newest steps are left open as long as no line has
 * a value there: it may only not have come yet.
 */
export function zeroed(lines: Line[], moving: boolean): Line[] {
  const points = lines[0]?.values.length ?? 0;
  let known = points;
  while (moving && known > points - NOT_YET && known > 0 && lines.every(({ values }) => values[known - 1] === null)) known -= 1;
  return lines.map((line) => (line.limit || line.edge ? line : { ...line, values: line.values.map((value, at) => (value === null && at < known ? 0 : value)) }));
}

/**
 * A straight line over each gap between two values that are at most so far apart, as it looks on the axis; nothing before the
 * first value and behind the last. `times` are seconds.
 */
export function connected(times: number[], values: Values, { log, connect_max_ms }: Axis): Values {
  const most = connect_max_ms ?? Infinity;
  const drawn = [...values];
  let before = -1;
  values.forEach((value, at) => {
    if (value === null || (log && value <= 0)) return;
    const from = before < 0 ? null : (values[before] ?? null);
    const [start, end] = [times[before] ?? 0, times[at] ?? 0];
    if (from !== null && at - before > 1 && (end - start) * 1000 <= most) {
      for (let between = before + 1; between < at; between += 1) {
        const share = ((times[between] ?? start) - start) / (end - start);
        drawn[between] = log ? from * (value / from) ** share : from + (value - from) * share;
      }
    }
    before = at;
  });
  return drawn;
}

/** What is drawn of lines; their numbers stay what they are. */
export const bridged = (times: number[], lines: Line[], axis: Axis): Line[] =>
  axis.nulls === "connect" ? lines.map((line) => (line.limit || line.edge ? line : { ...line, values: connected(times, line.values, axis) })) : lines;

/** The worst level that a value reaches; null when it is good, or none. The number itself is above, and not below: green from 1 on is green at 1. */
export function reached(value: number | null, thresholds: Threshold[] = []): Threshold | null {
  if (value === null) return null;
  const passed = thresholds.filter(({ above, below }) => (typeof above === "number" && value >= above) || (typeof below === "number" && value < below));
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
