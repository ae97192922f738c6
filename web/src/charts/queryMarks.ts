/** What a dashboard's own queries mark on its graphs. */
import { useMemo } from "react";
import { ApiError } from "../api/http";
import { legend, queryRange, span, type RangeResult } from "../api/promql";
import type { DashboardMark, Marker } from "../api/types";
import { useQuery } from "../api/useQuery";
import type { Range } from "./range";
import { waits } from "./scraped";
import { fill, named, type Values } from "./variables";

/** More of one query say nothing any more. */
export const MARKS_MAX = 300;
const POINTS_MAX = 5_000;
const AGAIN_MS = 30_000;
/** Such instants can be written. */
const INSTANT_MS_MAX = 8.64e15;

/** Stretches in which a series has a value other than 0, as the first and the last of their places. */
function stretches(values: (number | null)[]): [number, number][] {
  const all: [number, number][] = [];
  values.forEach((value, at) => {
    if (value === null || value === 0) return;
    const last = all.at(-1);
    if (last && last[1] === at - 1) last[1] = at;
    else all.push([at, at]);
  });
  return all;
}

function wordsOf(mark: DashboardMark, labels: Record<string, string>): string {
  const title = mark.title ? legend(mark.title, labels) : mark.name;
  const tags = (mark.tags ?? []).flatMap((tag) => (labels[tag] ? [`${tag} ${labels[tag]}`] : []));
  return [title, ...(mark.text ? [legend(mark.text, labels)] : []), ...(tags.length > 0 ? [tags.join(", ")] : [])].join(": ");
}

/** Marks in the order of time; one for each series and stretch, or for each instant that is a value. */
export function marksOf({ times, series }: RangeResult, mark: DashboardMark): Marker[] {
  const found = series.flatMap(({ labels, values }) => {
    const text = wordsOf(mark, labels);
    const spans = mark.value_is_time
      ? [...new Set(values)].flatMap((value): [number, number][] => (value !== null && value > 0 && value < INSTANT_MS_MAX ? [[value, value]] : []))
      : stretches(values).map(([from, to]): [number, number] => [(times[from] ?? 0) * 1000, (times[to] ?? 0) * 1000]);
    return spans.map(([from, to]) => ({ text, from, to }));
  });
  // They are no events of the record: numbers below 0 are nobody's.
  return found.sort((a, b) => a.from - b.from).map(({ text, from, to }, at): Marker => ({
    seq: -1 - at, kind: "mark", at: new Date(from).toISOString(), end_at: to > from ? new Date(to).toISOString() : null, text, actor_name: mark.name, subject: {},
  }));
}

export interface QueryMarks {
  markers: Marker[];
  /** What cannot be marked, and why. */
  notes: string[];
}

const NO_MARKERS: Marker[] = [];

export function useQueryMarks(marks: DashboardMark[], values: Values, range: Range): QueryMarks {
  const asked = marks.map((mark) => {
    const shortest = (range.toMs - range.fromMs) / 1000 / POINTS_MAX;
    const step = mark.step_ms ? Math.max(1, Math.ceil(Math.max(mark.step_ms / 1000, shortest))) : undefined;
    return { mark, expr: fill(mark.expr, values, range), step };
  });
  const place = range.name ?? `${range.fromMs}-${range.toMs}`;
  const key = asked.length === 0 || waits(asked.map(({ expr }) => expr), range) ? null : `query-marks:${place}:${asked.map(({ expr, step }) => `${step ?? ""} ${expr}`).join("\n")}`;
  const query = useQuery(
    key,
    () => {
      const to = range.name ? Date.now() : range.toMs;
      const from = to - (range.toMs - range.fromMs);
      return Promise.all(asked.map(async ({ expr, step }): Promise<RangeResult | string> => {
        try {
          return await queryRange(expr, span(from, to, step));
        } catch (error) {
          return error instanceof ApiError ? error.message : String(error);
        }
      }));
    },
    range.name ? { everyMs: AGAIN_MS } : {},
  );
  const words = JSON.stringify(marks);
  return useMemo(() => {
    const notes: string[] = [];
    const markers = (query.data ?? []).flatMap((result, at) => {
      const mark = marks[at];
      if (!mark) return [];
      if (typeof result === "string") {
        notes.push(`${mark.name}: ${result}`);
        return [];
      }
      const title = mark.title ? { title: named(mark.title, values) } : {};
      const all = marksOf(result, { ...mark, ...title });
      if (all.length > MARKS_MAX) notes.push(`${mark.name}: the newest ${MARKS_MAX} of ${all.length} are marked`);
      return all.slice(-MARKS_MAX);
    });
    return { markers: markers.length > 0 ? markers : NO_MARKERS, notes };
    // The marks are named by their words, the values by the key.
  }, [query.data, words, key]);
}
