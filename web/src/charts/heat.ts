/** Cumulative histogram buckets made into what was observed between two bounds at each time. */
import type { RangeResult } from "../api/promql";

export interface HeatRow {
  /** The bound above, as the label `le` has it. */
  le: string;
  counts: (number | null)[];
}

const bound = (le: string): number => (le === "+Inf" ? Infinity : Number(le));

/** Rows from the lowest bound to the highest. Series of the same `le` are added up; those without are left out. */
export function heatRows(results: RangeResult[]): HeatRow[] {
  const sums = new Map<string, (number | null)[]>();
  for (const { labels, values } of results.flatMap(({ series }) => series)) {
    if (labels.le === undefined || Number.isNaN(bound(labels.le))) continue;
    const before = sums.get(labels.le);
    sums.set(labels.le, before ? before.map((sum, index) => (values[index] === null ? sum : (sum ?? 0) + values[index]!)) : values);
  }
  const rows = [...sums].map(([le, counts]) => ({ le, counts })).sort((a, b) => bound(a.le) - bound(b.le));
  // What lies below the bound, as far as it is known: a scrape may catch a histogram between two of its buckets.
  const below: number[] = [];
  return rows.map(({ le, counts }) => ({
    le,
    counts: counts.map((count, at) => {
      if (count === null) return null;
      const within = Math.max(0, count - (below[at] ?? 0));
      below[at] = count;
      return within;
    }),
  }));
}

export const heatMost = (rows: HeatRow[]): number => rows.reduce((most, { counts }) => counts.reduce<number>((max, count) => Math.max(max, count ?? 0), most), 0);
