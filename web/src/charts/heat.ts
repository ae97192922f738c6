/** Histograms over time as rows between two bounds: classic ones by their cumulative `_bucket` series, native ones as they are. */
import type { HistogramSample, RangeResult } from "../api/promql";

export interface HeatRow {
  /** What was observed above this... */
  lower: number;
  /** ...and up to this. */
  upper: number;
  counts: (number | null)[];
}

/** More rows than a panel has lines of pixels to spare for are put together. */
const ROWS_MAX = 40;

const bound = (le: string): number => (le === "+Inf" ? Infinity : Number(le));

const added = (a: (number | null)[], b: (number | null)[]): (number | null)[] =>
  a.map((count, at) => (b[at] === null || b[at] === undefined ? count : (count ?? 0) + b[at]));

/** Series of the same `le` are added up; those without are left out. */
function classic(all: { labels: Record<string, string>; values: (number | null)[] }[]): HeatRow[] {
  // By the number: one client writes `1`, another `1.0`, and both are the same bound.
  const sums = new Map<number, (number | null)[]>();
  for (const { labels, values } of all) {
    const upper = labels.le === undefined ? NaN : bound(labels.le);
    if (Number.isNaN(upper)) continue;
    const before = sums.get(upper);
    sums.set(upper, before ? added(before, values) : values);
  }
  const rows = [...sums].map(([upper, counts]) => ({ upper, counts })).sort((a, b) => a.upper - b.upper);
  // What lies below the bound, as far as it is known: a scrape may catch a histogram between two of its buckets.
  const below: number[] = [];
  return rows.map(({ upper, counts }, row) => ({
    // Of what is never negative, the lowest bucket begins at 0.
    lower: rows[row - 1]?.upper ?? (upper > 0 ? 0 : -Infinity),
    upper,
    counts: counts.map((count, at) => {
      if (count === null) return null;
      const within = Math.max(0, count - (below[at] ?? 0));
      below[at] = Math.max(below[at] ?? 0, count);
      return within;
    }),
  }));
}

/** One row for each bucket that any sample has: where there is a sample without it, nothing was observed in it. */
function native(histograms: (HistogramSample | null)[]): HeatRow[] {
  const none = histograms.map((sample) => (sample ? 0 : null));
  const rows = new Map<string, HeatRow>();
  histograms.forEach((sample, at) => {
    for (const { lower, upper, count } of sample?.buckets ?? []) {
      const key = `${lower} ${upper}`;
      const row = rows.get(key) ?? { lower, upper, counts: [...none] };
      row.counts[at] = (row.counts[at] ?? 0) + count;
      rows.set(key, row);
    }
  });
  return [...rows.values()];
}

/**
 * Rows that do not overlap. Native histograms change their resolution, and differ in it: a bound that lies within some bucket
 * is no bound of a row, so that every bucket lies in one row as a whole.
 */
function laid(parts: HeatRow[]): HeatRow[] {
  const spans = [...new Map(parts.map(({ lower, upper }) => [`${lower} ${upper}`, { lower, upper }])).values()];
  const bounds = [...new Set(spans.flatMap(({ lower, upper }) => [lower, upper]))].sort((a, b) => a - b);
  const kept = bounds.filter((at) => !spans.some(({ lower, upper }) => lower < at && at < upper));
  const rows: HeatRow[] = kept.slice(1).map((upper, index) => ({ lower: kept[index]!, upper, counts: [] }));
  for (const part of parts) {
    const row = rows.find(({ lower, upper }) => lower <= part.lower && part.upper <= upper);
    if (row) row.counts = row.counts.length === 0 ? part.counts : added(row.counts, part.counts);
  }
  // Between two buckets may lie a stretch in which nothing ever was.
  const none = (parts[0]?.counts ?? []).map((_, at) => (parts.some(({ counts }) => counts[at] !== null) ? 0 : null));
  return rows.map((row) => (row.counts.length === 0 ? { ...row, counts: none } : row));
}

function halved(rows: HeatRow[]): HeatRow[] {
  return rows.flatMap((row, index) => {
    if (index % 2 === 1) return [];
    const next = rows[index + 1];
    return [next ? { lower: row.lower, upper: next.upper, counts: added(row.counts, next.counts) } : row];
  });
}

/** Rows from the lowest bound to the highest. */
export function heatRows(results: RangeResult[]): HeatRow[] {
  const all = results.flatMap(({ series }) => series);
  let rows = laid([...classic(all), ...all.flatMap(({ histograms }) => (histograms ? native(histograms) : []))]);
  while (rows.length > ROWS_MAX) rows = halved(rows);
  return rows;
}

export const heatMost = (rows: HeatRow[]): number => rows.reduce((most, { counts }) => counts.reduce<number>((max, count) => Math.max(max, count ?? 0), most), 0);

/** Where a value lies, in rows from the bottom; null when it lies in none. */
export function heatPlace(rows: HeatRow[], value: number): number | null {
  const row = rows.findIndex(({ lower, upper }) => value > lower && value <= upper);
  const at = row < 0 ? rows.findIndex(({ lower, upper }) => value >= lower && value <= upper) : row;
  const found = rows[at];
  if (!found) return null;
  const height = found.upper - found.lower;
  return at + (Number.isFinite(height) ? (value - found.lower) / height : 0.5);
}
