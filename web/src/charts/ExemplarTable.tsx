import type { ReactElement } from "react";
import type { Exemplar } from "../api/promql";
import { absolute, stamp } from "../lib/zone";
import { LabelValue } from "./ExemplarTip";
import { valueText } from "./exemplars";

const ROWS_MAX = 120;

/** The exemplars of a graph, newest first, with all their labels. */
export function ExemplarTable({ title, exemplars, unit }: { title: string; exemplars: Exemplar[]; unit: string }): ReactElement {
  const rows = [...exemplars].reverse();
  return (
    <div className="chart-table" tabIndex={0} role="region" aria-label={`Exemplars of ${title}`}>
      <table>
        <thead><tr><th scope="col">Exemplar</th><th scope="col" className="number">Value</th><th scope="col">Labels</th></tr></thead>
        <tbody>
          {rows.slice(0, ROWS_MAX).map((exemplar) => (
            <tr key={JSON.stringify(exemplar)}>
              <td className="nowrap" title={absolute(exemplar.time * 1000)}>{stamp(exemplar.time * 1000, Date.now(), true)}</td>
              <td className="number nowrap">{valueText(exemplar.value, unit)}</td>
              <td>{Object.entries(exemplar.labels).map(([name, value]) => <span key={name} className="label-pair"><span className="muted">{name}</span> <LabelValue value={value} /></span>)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > ROWS_MAX && <p className="muted small">and {rows.length - ROWS_MAX} more</p>}
    </div>
  );
}
