import type uPlot from "uplot";
import { useMemo, useRef, useState, type ReactElement } from "react";
import { span, type Exemplar, type RangeResult } from "../../api/promql";
import { firstLine } from "../../api/http";
import type { Marker, Panel } from "../../api/types";
import { moment } from "../../lib/zone";
import { format } from "../../lib/units";
import { Canvas } from "../Canvas";
import { ChartFrame } from "../ChartFrame";
import { isoTime, toCsv } from "../csv";
import { useExemplars } from "../exemplars";
import { ExemplarDetail } from "../ExemplarTip";
import { ExemplarTable } from "../ExemplarTable";
import { heatMost, heatPlace, heatRows, type HeatRow } from "../heat";
import { heatOptions, type Ink } from "../options";
import { PanelLinks } from "../PanelLinks";
import { savePng } from "../png";
import type { Range } from "../range";
import { marksWords } from "../summary";
import { useRanges } from "../useLines";

interface Props {
  panel: Panel;
  range: Range;
  markers: Marker[];
  sync?: string | undefined;
  height?: number | undefined;
  onZoom?: ((fromMs: number, toMs: number) => void) | undefined;
}

const NONE: RangeResult[] = [];

const boundText = (bound: number, unit: string): string => (bound === Infinity ? "∞" : bound === -Infinity ? "−∞" : format(bound, unit));
const rowText = ({ lower, upper }: HeatRow, unit: string): string => `${boundText(lower, unit)} to ${boundText(upper, unit)}`;
const total = (rows: HeatRow[], at: number): number => rows.reduce((sum, { counts }) => sum + (counts[at] ?? 0), 0);

/** The darker, the more; by roots, so that what is rare can still be seen. */
function drawCells(u: uPlot, times: number[], rows: HeatRow[], ink: Ink): void {
  const { ctx, bbox } = u;
  const half = ((times[1] ?? 0) - (times[0] ?? 0)) / 2 || 0.5;
  const most = heatMost(rows) || 1;
  const edges = times.map((time) => [Math.max(bbox.left, u.valToPos(time - half, "x", true)), Math.min(bbox.left + bbox.width, u.valToPos(time + half, "x", true))] as const);
  ctx.save();
  ctx.fillStyle = ink.accent;
  rows.forEach(({ counts }, row) => {
    const [top, bottom] = [u.valToPos(row + 1, "y", true), u.valToPos(row, "y", true)];
    counts.forEach((count, at) => {
      const [left, right] = edges[at] ?? [0, 0];
      if (!count || right <= left) return;
      ctx.globalAlpha = 0.12 + 0.88 * Math.sqrt(count / most);
      ctx.fillRect(left, top, Math.max(1, right - left - 0.5), Math.max(1, bottom - top - 0.5));
    });
  });
  ctx.restore();
}

function HeatTable({ title, times, rows, unit }: { title: string; times: number[]; rows: HeatRow[]; unit: string }): ReactElement {
  const last = times.length - 1;
  return (
    <div className="chart-table" tabIndex={0} role="region" aria-label={`${title} as a table`}>
      <table>
        <thead><tr><th scope="col">Between</th><th scope="col" className="number">Newest</th><th scope="col" className="number">Over the range</th></tr></thead>
        <tbody>
          {[...rows].reverse().map((row) => (
            <tr key={`${row.lower} ${row.upper}`}>
              <td className="nowrap">{rowText(row, unit)}</td>
              <td className="number">{format(row.counts[last] ?? null, "short")}</td>
              <td className="number">{format(row.counts.reduce<number>((sum, count) => sum + (count ?? 0), 0), "short")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const heatCsv = (times: number[], rows: HeatRow[]): string =>
  toCsv([["time", ...rows.map(({ lower, upper }) => `${lower} to ${upper}`)], ...times.map((time, at) => [isoTime(time), ...rows.map(({ counts }) => counts[at])])]);

function useHeat(panel: Panel, range: Range): { times: number[]; rows: HeatRow[]; note: string | null; loading: boolean } {
  const wanted = span(range.fromMs, range.toMs);
  const query = useRanges("heat", panel.queries, range);
  const results = query.data ?? NONE;
  const rows = useMemo(() => heatRows(results), [results]);
  const some = results.some(({ series }) => series.length > 0);
  const note = query.error
    ? `${firstLine(query.error.message)} ${query.error.advice}`
    : rows.length > 0 || query.loading ? null
    : some ? "These series are no histograms: they have no label `le`, and are not native ones." : "No data in this range.";
  return { times: results[0]?.times ?? [wanted.from, wanted.to], rows, note, loading: query.loading };
}

/** Where the values of a histogram lay over time. Queries give native histograms, or `_bucket` series by `le`. */
export function HeatmapPanel({ panel, range, markers, sync, height = 150, onZoom }: Props): ReactElement {
  const head = useRef<HTMLSpanElement>(null);
  const [asTable, setAsTable] = useState(false);
  const [picked, setPicked] = useState<Exemplar | null>(null);
  const { title } = panel;
  const unit = panel.unit ?? "short";
  const { times, rows, note, loading } = useHeat(panel, range);
  const exemplars = useExemplars(panel.queries, range, panel.exemplars ?? false);
  const latest = useRef(rows);
  latest.current = rows;
  const data = useMemo(() => [times, times.map(() => null)] as uPlot.AlignedData, [times, rows]);
  const points = useMemo(() => exemplars.list.flatMap((exemplar) => {
    const y = heatPlace(rows, exemplar.value);
    return y === null ? [] : [{ y, exemplar }];
  }), [exemplars.list, rows]);
  const bounds = (): string[] => (latest.current.length === 0 ? [] : [latest.current[0]!.lower, ...latest.current.map(({ upper }) => upper)].map((bound) => boundText(bound, unit)));

  // Of a cursor that another panel moves, only the instant says something.
  const follow = (index: number | null, u: uPlot): void => {
    if (!head.current) return;
    const time = index === null ? undefined : times[index];
    const here = u.over.matches(":hover") ? rows[Math.floor(u.posToVal(u.cursor.top ?? -1, "y"))] : undefined;
    const value = here ? `${rowText(here, unit)}: ${format(here.counts[index!] ?? null, "short")}` : `${format(total(rows, index ?? 0), "short")} in all`;
    head.current.textContent = time === undefined ? "" : `${moment(time * 1000)} · ${value}`;
  };

  const words = rows.length === 0 ? `${title}, ${range.text}: no data.` : `${title}, ${range.text}. A histogram of ${rows.length} rows from ${boundText(rows[0]!.lower, unit)} to ${boundText(rows.at(-1)!.upper, unit)}; its table has the numbers.${marksWords(markers)}`;
  return (
    <ChartFrame
      title={title} description={panel.description} words={words} busy={loading} tools={<PanelLinks panel={panel} />}
      now={<span className="now" ref={head} />}
      onPng={!asTable && rows.length > 0 ? (figure) => savePng(figure, title, times) : undefined}
      csv={asTable ? () => heatCsv(times, rows) : undefined}
      table={{ shown: asTable, onChange: setAsTable }}
    >
      {asTable ? (
        <>
          <HeatTable title={title} times={times} rows={rows} unit={unit} />
          {exemplars.list.length > 0 && <ExemplarTable title={title} exemplars={exemplars.list} unit={unit} />}
        </>
      ) : (
        <>
          <div className="chart-area">
            <Canvas
              shape={`heat ${unit}`} data={data} unit={unit} height={height} markers={markers} sync={sync} points={points}
              options={(made) => heatOptions({ ...made, unit }, bounds)}
              under={(u, ink) => drawCells(u, times, rows, ink)}
              onPick={(point) => setPicked(point.exemplar)} onZoom={onZoom} onCursor={follow}
            />
            {(note || rows.length === 0) && <p className="chart-note">{note ?? "Loading…"}</p>}
          </div>
          {picked && <ExemplarDetail exemplar={picked} unit={unit} onClose={() => setPicked(null)} />}
          {rows.length > 0 && <ul className="legend" aria-hidden="true"><li><span className="swatch heat-most" /><span>{format(heatMost(rows), "short")} at most</span></li><li><span className="swatch heat-few" /><span>few</span></li></ul>}
          {exemplars.error && <p className="form-error small">{exemplars.error}</p>}
        </>
      )}
    </ChartFrame>
  );
}
