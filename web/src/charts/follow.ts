/** New points into the answers of a graph: its window moves on, and what is told again replaces what was there. */
import type { News } from "../api/live";
import type { RangeResult, Series } from "../api/promql";

const nameOf = ({ labels }: Series): string => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
const some = (row: readonly unknown[] | undefined): boolean => row?.some((value) => value !== null) ?? false;
const lastOf = ({ times }: RangeResult): number => times.at(-1) ?? 0;

/** Until when a query of a graph was told. */
export const untilOf = (result: RangeResult): number => result.until ?? lastOf(result);

/** The window moved so that it ends at `to`; what is not told yet is empty. */
function movedTo(result: RangeResult, to: number, step: number): RangeResult {
  const by = Math.round((to - lastOf(result)) / step);
  if (by <= 0) return result;
  const moved = <T>(row: (T | null)[]): (T | null)[] => [...row.slice(by), ...new Array<null>(Math.min(by, row.length)).fill(null)];
  const series = result.series.map((one): Series => ({ ...one, values: moved(one.values), ...(one.histograms ? { histograms: moved(one.histograms) } : {}) }));
  return { ...result, times: result.times.map((time) => time + by * step), series, until: untilOf(result) };
}

function placed(result: RangeResult, { from, to, points }: News, step: number): RangeResult {
  const first = Math.round((from - (result.times[0] ?? 0)) / step);
  const count = result.times.length;
  const put = <T>(row: readonly (T | null)[] | undefined, told: readonly (T | null)[] | undefined): (T | null)[] => {
    const next = row ? [...row] : new Array<T | null>(count).fill(null);
    points.times.forEach((_, index) => {
      const at = first + index;
      if (at >= 0 && at < count) next[at] = told?.[index] ?? null;
    });
    return next;
  };
  const told = new Map(points.series.map((one) => [nameOf(one), one]));
  const known = result.series.map((one): [Series | undefined, Series | undefined] => {
    const name = nameOf(one);
    const news = told.get(name);
    told.delete(name);
    return [one, news];
  });
  const all = [...known, ...[...told.values()].map((news): [Series | undefined, Series | undefined] => [undefined, news])];
  const series = all.map(([one, news]): Series => ({
    labels: (one ?? news)!.labels,
    values: put(one?.values, news?.values),
    ...(one?.histograms || news?.histograms ? { histograms: put(one?.histograms, news?.histograms) } : {}),
  }));
  return { ...result, series: series.filter(({ values, histograms }) => some(values) || some(histograms)), until: Math.max(untilOf(result), to) };
}

/**
 * The answers with news of the query at a place. Null when points between are missing: then they must be asked for, and come
 * as news themselves, which are taken as they are (`asked`).
 */
export function extended(results: RangeResult[], place: number, news: News, step: number, asked = false): RangeResult[] | null {
  const old = results[place];
  if (!old || old.times.length === 0) return results;
  if (!asked && (news.missed || news.from > untilOf(old) + step)) return null;
  const to = Math.max(news.to, ...results.map(lastOf));
  return results.map((result, at) => {
    const moved = movedTo(result, to, step);
    return at === place ? placed(moved, news, step) : moved;
  });
}
