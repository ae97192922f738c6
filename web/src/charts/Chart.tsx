import { useMemo, useRef, useState, type ReactElement, type ReactNode } from "react";
import type { Exemplar, Note } from "../api/promql";
import type { Marker } from "../api/types";
import { moment } from "../lib/zone";
import { plural } from "../lib/units";
import { ChartFrame } from "./ChartFrame";
import { ChartTable } from "./ChartTable";
import { linesCsv } from "./csv";
import { ExemplarDetail } from "./ExemplarTip";
import { ExemplarTable } from "./ExemplarTable";
import { Legend } from "./Legend";
import type { Axis } from "./look";
import { Notes } from "./Notes";
import { isDrawn, stillPicked, type Picks } from "./picks";
import { Plot } from "./Plot";
import { savePng } from "./png";
import { lastValue, lineText, summary, type Line } from "./summary";

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
  /** More beside the title's buttons. */
  tools?: ReactNode;
  height?: number | undefined;
  sync?: string | undefined;
  /** Why there is nothing to draw. */
  note?: string | null | undefined;
  loading?: boolean | undefined;
  axis?: Axis | undefined;
  /** How many further lines there are, which are not drawn. */
  cut?: number | undefined;
  notes?: Note[] | undefined;
  /** There is room for the lowest, mean and highest of each line. */
  detailed?: boolean | undefined;
  onZoom?: ((fromMs: number, toMs: number) => void) | undefined;
}

const NO_EXEMPLARS: Exemplar[] = [];
const NO_NOTES: Note[] = [];

/** A graph with its title, its newest value, its legend, its words and its table. */
export function Chart({ title, unit, times, lines, markers, exemplars = NO_EXEMPLARS, exemplarsNote, rangeText, description, tools, height = 150, sync, note, loading, axis, cut = 0, notes = NO_NOTES, detailed = false, onZoom }: ChartProps): ReactElement {
  const [asTable, setAsTable] = useState(false);
  const [picked, setPicked] = useState<Exemplar | null>(null);
  const points = useMemo(() => exemplars.map((exemplar) => ({ y: exemplar.value, exemplar })), [exemplars]);
  const head = useRef<HTMLSpanElement>(null);
  const legend = useRef<HTMLDivElement>(null);
  const [picks, setPicks] = useState<Picks>(null);
  const chosen = useMemo(() => stillPicked(picks, lines), [picks, lines]);
  const shown = useMemo(() => (chosen === null ? lines : lines.map((line) => (isDrawn(line, chosen) ? line : { ...line, values: line.values.map(() => null) }))), [lines, chosen]);
  const measured = lines.filter(({ limit }) => !limit);
  const only = measured.length === 1 ? measured[0] : undefined;
  const newest = only ? lineText(only, lastValue(only.values), unit) : "";
  const words = summary(title, unit, lines, markers, rangeText);

  // The numbers follow the pointer: written straight into the page, since drawing React again at every move would lag.
  const follow = (index: number | null): void => {
    const text = (line: Line): string => lineText(line, index === null ? lastValue(line.values) : (line.values[index] ?? null), unit);
    legend.current?.querySelectorAll("[data-value]").forEach((cell, row) => {
      const line = lines[row];
      if (line) cell.textContent = text(line);
    });
    if (!head.current) return;
    const time = index === null ? undefined : times[index];
    const value = only ? text(only) : "";
    head.current.textContent = time === undefined ? value : `${moment(time * 1000)}${value ? ` · ${value}` : ""}`;
  };

  return (
    <ChartFrame
      title={title} description={description} words={words} busy={loading} tools={tools}
      now={<span className="now" ref={head}>{newest}</span>}
      onPng={!asTable && lines.length > 0 ? (figure) => savePng(figure, title, times) : undefined}
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
            <Plot times={times} lines={shown} axis={axis} unit={unit} markers={markers} height={height} sync={sync} points={points} onPick={(point) => setPicked(point.exemplar)} onZoom={onZoom} onCursor={follow} />
            {(note || lines.length === 0) && <p className="chart-note">{note ?? (loading ? "Loading…" : "No data in this range.")}</p>}
          </div>
          {exemplarsNote && <p className="form-error small">{exemplarsNote}</p>}
          {picked && <ExemplarDetail exemplar={picked} unit={unit} onClose={() => setPicked(null)} />}
          {lines.length > 1 && <Legend title={title} values={legend} lines={lines} unit={unit} chosen={chosen} onChoose={setPicks} detailed={detailed} />}
        </>
      )}
      {cut > 0 && <p className="muted small">{plural(cut, "more line is", "more lines are")} not drawn: {"topk(10, …)"} or a sum tells what matters.</p>}
      <Notes notes={notes} />
    </ChartFrame>
  );
}
