import { useRef, useState, type ReactElement } from "react";
import type { Marker } from "../api/types";
import { seriesColour } from "../lib/palette";
import { useTheme } from "../lib/theme";
import { clockWithSeconds } from "../lib/time";
import { format } from "../lib/units";
import { ChartTable } from "./ChartTable";
import { Plot } from "./Plot";
import { savePng } from "./png";
import { lastValue, summary, type Line } from "./summary";

export interface ChartProps {
  title: string;
  unit: string;
  times: number[];
  lines: Line[];
  markers: Marker[];
  rangeText: string;
  description?: string | null | undefined;
  height?: number;
  sync?: string | undefined;
  /** Why there is nothing to draw. */
  note?: string | null | undefined;
  loading?: boolean | undefined;
  onZoom?: ((fromMs: number, toMs: number) => void) | undefined;
}

const LEGEND_MAX = 12;

/** A graph with its title, its newest value, its legend, its words and its table. */
export function Chart({ title, unit, times, lines, markers, rangeText, description, height = 150, sync, note, loading, onZoom }: ChartProps): ReactElement {
  const [asTable, setAsTable] = useState(false);
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
    <figure className="chart panel" aria-busy={loading || undefined}>
      <div className="chart-head">
        <h3 title={description ?? undefined}>{title}</h3>
        <span className="now" ref={head}>{newest}</span>
        {!asTable && lines.length > 0 && (
          <button type="button" className="button" aria-label={`Save ${title} as png`} onClick={(event) => { const figure = event.currentTarget.closest("figure"); if (figure) savePng(figure, title, rangeText); }}>
            png
          </button>
        )}
        <button type="button" className="button" aria-pressed={asTable} aria-label={`Show ${title} as ${asTable ? "a graph" : "a table"}`} onClick={() => setAsTable(!asTable)}>
          {asTable ? "graph" : "table"}
        </button>
      </div>
      <figcaption className={asTable ? "small muted" : "sr-only"}>{words}</figcaption>
      {asTable ? (
        <ChartTable title={title} times={times} lines={lines} unit={unit} markers={markers} />
      ) : (
        <>
          <div className="chart-area">
            <Plot times={times} lines={lines} unit={unit} markers={markers} height={height} sync={sync} onZoom={onZoom} onCursor={follow} />
            {(note || lines.length === 0) && <p className="chart-note">{note ?? (loading ? "Loading…" : "No data in this range.")}</p>}
          </div>
          {lines.length > 1 && (
            <ul className="legend" ref={legend} aria-hidden="true">
              {lines.slice(0, LEGEND_MAX).map((line, index) => (
                <li key={line.label}>
                  <span className="swatch" style={{ background: line.limit ? "var(--critical)" : seriesColour(theme, index) }} />
                  <span>{line.label}</span>
                  <span className="muted" data-value="">{format(lastValue(line.values), unit)}</span>
                </li>
              ))}
              {lines.length > LEGEND_MAX && <li className="muted">and {lines.length - LEGEND_MAX} more</li>}
            </ul>
          )}
        </>
      )}
    </figure>
  );
}
