/** The one value of every series of a panel's queries: the newest, or what is made of those of the range. */
import { useMemo } from "react";
import { legend, queryInstant, severalMetrics, span, type RangeResult, type Series } from "../../api/promql";
import type { Panel, PanelQuery, Threshold } from "../../api/types";
import { amend, useQuery } from "../../api/useQuery";
import { bridged, zeroed } from "../look";
import type { Range } from "../range";
import { reduced } from "../reduce";
import { waits } from "../scraped";
import { isDrawn, useRanges } from "../useLines";
import { pace, useIsLive, useLive } from "../useLive";

export interface Newest {
  label: string;
  value: number | null;
  labels: Series["labels"];
  /** Which of the panel's queries it answers. */
  query: number;
  /** Over the range, where that was asked. */
  line?: (number | null)[];
  /** What is set for it alone, instead of what the panel has. */
  unit?: string;
  decimals?: number;
  thresholds?: Threshold[];
}

type Sample = Pick<Series, "labels"> & { value: number | null };

export const ROWS_MAX = 200;
const ASK_MS = 15_000;

/** What is no number has no height and no rank. */
const finite = (value: number | null): number | null => (value !== null && Number.isFinite(value) ? value : null);

/** Also those without a number there: a ratio of nothing to nothing is a row too. */
const lastOf = (series: Series[]): Sample[] => series.map(({ labels, values }) => ({ labels, value: values.at(-1) ?? null }));

export function useNewest(queries: PanelQuery[], range: Range): ReturnType<typeof useQuery<Newest[]>> {
  const at = range.name ? undefined : range.toMs / 1000;
  const exprs = queries.map(({ expr }) => expr);
  // The step of the line beside it, so that one evaluation serves both; of long ranges a shorter one.
  const step = Math.min(span(range.fromMs, range.toMs, range.step).step, ASK_MS / 1000);
  const live = useIsLive(exprs, step);
  const key = `newest:${at ?? "now"}:${exprs.join("\n")}`;
  const query = useQuery<Sample[][]>(
    waits(exprs, range) ? null : key,
    () => Promise.all(exprs.map(async (expr) => (await queryInstant(expr, at)).map(({ labels, value }) => ({ labels, value: finite(value) })))),
    at === undefined ? { everyMs: pace(live, ASK_MS) } : {},
  );
  const { data, reload, ...state } = query;
  useLive(at === undefined && data ? key : null, exprs, step, (name) => ({
    news: (place, { points }) => amend<Sample[][]>(name, (all) => all.map((samples, index) => (index === place ? lastOf(points.series) : samples))),
    back: reload,
  }));
  const names = queries.map(({ legend: name }) => name ?? "").join("\n");
  const rows = useMemo(
    () => {
      const named = severalMetrics((data ?? []).flat().map(({ labels }) => labels));
      return data?.flatMap((samples, index) => samples.map(({ labels, value }): Newest => ({ label: legend(queries[index]?.legend, labels, named), value, labels, query: index })));
    },
    // The queries are named by the key.
    [data, key, names],
  );
  return { ...state, reload, data: rows };
}

/** Whether the newest values alone are not enough. */
export const asksRange = ({ reduce = "last", sparkline }: Panel): boolean => reduce !== "last" || Boolean(sparkline);

/** What a panel tells of the answers for its range. */
export function reducedRows(results: RangeResult[], panel: Panel, moving: boolean): Newest[] {
  const named = severalMetrics(results.flatMap(({ series }) => series.map(({ labels }) => labels)));
  return results.flatMap(({ times, series }, query) => {
    const drawn = series.filter(isDrawn).map(({ labels, values }) => ({ labels, label: legend(panel.queries[query]?.legend, labels, named), values }));
    const told = panel.nulls === "zero" ? zeroed(drawn, moving) : drawn;
    const lines = bridged(times, told, panel);
    return drawn.map(({ labels, label }, at): Newest => ({
      label, labels, query, value: reduced(told[at]?.values ?? [], panel.reduce), line: lines[at]?.values ?? [],
    }));
  });
}

export function useReduced(panel: Panel, range: Range): ReturnType<typeof useQuery<Newest[]>> {
  const { data, ...state } = useRanges("lines", panel.queries, range);
  const moving = range.name !== null;
  const rows = useMemo(() => data && reducedRows(data, panel, moving), [data, panel, moving]);
  return { ...state, data: rows };
}
