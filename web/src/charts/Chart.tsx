import { useMemo, useRef, useState, type ReactElement } from "react";
import type { Exemplar } from "../api/promql";
import type { Marker } from "../api/types";
import { seriesColour } from "../lib/palette";
import { useTheme } from "../lib/theme";
import { clockWithSeconds } from "../lib/time";
import { format } from "../lib/units";
import { ChartFrame } from "./ChartFrame";
import { ChartTable } from "./ChartTable";
import { linesCsv } from "./csv";
import { ExemplarDetail } from "./ExemplarTip";
import { ExemplarTable } from "./ExemplarTable";
import { Plot } from "./Plot";
import { savePng } from "./png";
import { colourOf, lastValue, summary, type Line } from "./summary";

export interface ChartProps {
  title: string;
  unit: string;
  times: number[];
  lines: Line[];
  markers: Marker[];
  exemplars?: Exemplar[] | undefined;
  /** Why there are no exemplars. */
  exemplarsNote?: string | null | undefined;
  rangeText: string;
  description?: string | null | undefined;
  height?: number | undefined;
  sync?: string | undefined;
  /** Why there is nothing to draw. */
  note?: string | null | undefined;
  loading?: boolean | undefined;
  onZoom?: ((fromMs: number, toMs: number) => void) | undefined;
}

const LEGEND_MAX = 12;
const NO_EXEMPLARS: Exemplar[] = [];

/** A graph with its title, its newest value, its legend, its words and its table. */
export function Chart({ title, unit, times, lines, markers, exemplars = NO_EXEMPLARS, exemplarsNote, rangeText, description, height = 150, sync, note, loading, onZoom }: ChartProps): ReactElement {
  const [asTable, setAsTable] = useState(false);
  const [picked, setPicked] = useState<Exemplar | null>(null);
  const points = useMemo(() => exemplars.map((exemplar) => ({ y: exemplar.value, exemplar })), [exemplars]);
  const theme = useTheme();
  const head = useRef<HTMLSpanElement>(null);
  const legend = useRef<HTMLUListElement>(null);
  const newest = lines.length === 1 ? format(lastValue(lines[0]!.values), unit) : "";
  const words = summary(title, unit, lines, markers, rangeText);

  // The numbers follow the pointer: written straight into the page, since drawing React again at every move would lag.
  const follow = (index: number | null): void => {
    const text = (line: Line): string => format(index === null ? lastValue(line.values) : (line.values[index] ?? null), unit);
    legend.current?.querySelectorAll("[data-value]").forEach((cell, row) => {
      const line = lines[row];
      if (line) cell.textContent = text(line);
    });
    if (!head.current) return;
    const time = index === null ? undefined : times[index];
    const value = lines.length === 1 ? text(lines[0]!) : "";
    head.current.textContent = time === undefined ? value : `${clockWithSeconds(time * 1000)}${value ? ` · ${value}` : ""}`;
  };

  return (
    <ChartFrame
      title={title} description={description} words={words} busy={loading}
      now={<span className="now" ref={head}>{newest}</span>}
      onPng={!asTable && lines.length > 0 ? (figure) => savePng(figure, title, rangeText) : undefined}
      csv={asTable ? () => linesCsv(times, lines) : undefined}
      table={{ shown: asTable, onChange: setAsTable }}
    >
      {asTable ? (
        <>
          <ChartTable title={title} times={times} lines={lines} unit={unit} markers={markers} />
          {exemplars.length > 0 && <ExemplarTable title={title} exemplars={exemplars} unit={unit} />}
        </>
      ) : (
        <>
          <div className="chart-area">
            <Plot times={times} lines={lines} unit={unit} markers={markers} height={height} sync={sync} points={points} onPick={(point) => setPicked(point.exemplar)} onZoom={onZoom} onCursor={follow} />
            {(note || lines.length === 0) && <p className="chart-note">{note ?? (loading ? "Loading…" : "No data in this range.")}</p>}
          </div>
          {exemplarsNote && <p className="form-error small">{exemplarsNote}</p>}
          {picked && <ExemplarDetail exemplar={picked} unit={unit} onClose={() => setPicked(null)} />}
          {lines.length > 1 && (
            <ul className="legend" ref={legend} aria-hidden="true">
              {lines.slice(0, LEGEND_MAX).map((line, index) => (
                <li key={line.label}>
                  <span className="swatch" style={{ background: line.limit ? "var(--critical)" : seriesColour(theme, colourOf(lines, index)) }} />
                  <span>{line.label}</span>
                  <span className="muted" data-value="">{format(lastValue(line.values), unit)}</span>
                </li>
              ))}
              {lines.length > LEGEND_MAX && <li className="muted">and {lines.length - LEGEND_MAX} more</li>}
            </ul>
          )}
        </>
      )}
    </ChartFrame>
  );
}
