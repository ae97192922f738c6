import type { ReactElement } from "react";
import type { Marker } from "../api/types";
import { absolute, bareStamp, zone } from "../lib/zone";
import { lineText, type Line } from "./summary";

const ROWS_MAX = 120;

interface Props {
  title: string;
  times: number[];
  lines: Line[];
  unit: string;
  markers: Marker[];
}

/** The chart's numbers, newest first, with the marks between them. */
export function ChartTable({ title, times, lines, unit, markers }: Props): ReactElement {
  const every = Math.max(1, Math.ceil(times.length / ROWS_MAX));
  const rows = times.map((time, index) => ({ time, index })).filter(({ index }) => (times.length - 1 - index) % every === 0).reverse();
  const step = (times[1] ?? 0) - (times[0] ?? 0);
  const now = Date.now();
  const marksIn = (time: number): Marker[] => markers.filter(({ at }) => {
    const instant = Date.parse(at) / 1000;
    return instant <= time && instant > time - step * every;
  });
  return (
    <div className="chart-table" tabIndex={0} role="region" aria-label={`${title} as a table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time ({zone()})</th>
            {lines.map((line) => <th key={line.label} scope="col" className="number">{line.label}</th>)}
            <th scope="col">What happened</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, index }) => (
            <tr key={time}>
              <td className="nowrap" title={absolute(time * 1000)}>{bareStamp(time * 1000, now, true)}</td>
              {lines.map((line) => <td key={line.label} className="number nowrap">{lineText(line, line.values[index], unit)}</td>)}
              <td>{marksIn(time).map((mark) => `${mark.text} (${mark.actor_name})`).join("; ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
