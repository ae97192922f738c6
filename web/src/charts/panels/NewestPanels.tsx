/** Panels that show how it stands: one large value, a table, or bars. */
import type { ReactElement, ReactNode } from "react";
import type { Panel } from "../../api/types";
import { absolute } from "../../lib/time";
import { format } from "../../lib/units";
import { Status } from "../../ui/basics";
import { Loaded } from "../../ui/Section";
import { ChartFrame } from "../ChartFrame";
import { toCsv } from "../csv";
import { reached, thresholdText } from "../look";
import { saveFigures, type Figure } from "../png";
import type { Range } from "../range";
import { ROWS_MAX, useNewest, type Newest } from "./useNewest";

const BARS_MAX = 20;

interface RowsProps {
  panel: Panel;
  range: Range;
  /** As a picture; a table is text, and is kept as a file of its numbers alone. */
  drawn?: (rows: Newest[], unit: string) => Figure[];
  children: (rows: Newest[]) => ReactNode;
}

function Rows({ panel, range, drawn, children }: RowsProps): ReactElement {
  const newest = useNewest(panel.queries, range);
  const rows = newest.data ?? [];
  const { title } = panel;
  return (
    <ChartFrame
      as="section" title={title} description={panel.description}
      csv={rows.length > 0 ? () => toCsv([["series", "value"], ...rows.map(({ label, value }) => [label, value])]) : undefined}
      onPng={drawn && rows.length > 0 ? () => saveFigures(drawn(rows, panel.unit ?? "short"), title, range.name ? absolute(Date.now()) : absolute(range.toMs)) : undefined}
    >
      <Loaded query={newest}>{(found) => (found.length === 0 ? <p className="muted">No data.</p> : children(found))}</Loaded>
    </ChartFrame>
  );
}

const figures = (rows: Newest[], unit: string): Figure[] => rows.slice(0, BARS_MAX).map(({ label, value }) => ({ label, text: format(value, unit) }));

/** The largest first, and how long a bar is that has no bound of its own. */
function topped(rows: Newest[]): { label: string; value: number; share: number }[] {
  const sorted = rows.flatMap(({ label, value }) => (value === null ? [] : [{ label, value }])).sort((a, b) => b.value - a.value);
  const most = Math.max(...sorted.map(({ value }) => value), 0) || 1;
  return sorted.map((row) => ({ ...row, share: Math.max(0, row.value) / most }));
}

/** What threshold a value reaches, in words. */
function worst(value: number | null, { unit = "short", thresholds }: Panel): string | null {
  const found = reached(value, thresholds);
  return found && thresholdText(found, unit);
}

/** A value, in the look of the worst threshold that it reaches. */
function Judged({ value, panel }: { value: number | null; panel: Panel }): ReactElement {
  const text = format(value, panel.unit ?? "short");
  const found = reached(value, panel.thresholds);
  if (!found) return <>{text}</>;
  return <span title={thresholdText(found, panel.unit ?? "short")}><Status look={found.level}>{text}<span className="sr-only"> ({found.level})</span></Status></span>;
}

export function StatPanel({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  return (
    <Rows panel={panel} range={range} drawn={figures}>
      {(rows) => (
        <ul className="stats">
          {rows.slice(0, BARS_MAX).map(({ label, value }, index) => (
            <li key={`${label} ${index}`}>
              <span className="stat-value"><Judged value={value} panel={panel} /></span>
              {worst(value, panel) && <span className="small">{worst(value, panel)}</span>}
              {(rows.length > 1 || panel.queries[0]?.legend) && <span className="muted small">{label}</span>}
            </li>
          ))}
        </ul>
      )}
    </Rows>
  );
}

export function TablePanel({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  return (
    <Rows panel={panel} range={range}>
      {(rows) => (
        <div className="chart-table" tabIndex={0} role="region" aria-label={`${panel.title} as a table`}>
          <table>
            <thead><tr><th scope="col">Series</th><th scope="col" className="number">Value</th></tr></thead>
            <tbody>
              {rows.slice(0, ROWS_MAX).map(({ label, value }, index) => (
                <tr key={`${label} ${index}`}><td className="wrap-any">{label}</td><td className="number nowrap"><Judged value={value} panel={panel} /></td></tr>
              ))}
            </tbody>
          </table>
          {rows.length > ROWS_MAX && <p className="muted small">and {rows.length - ROWS_MAX} more</p>}
        </div>
      )}
    </Rows>
  );
}

export function TopPanel({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  return (
    <Rows panel={panel} range={range} drawn={(rows, unit) => topped(rows).slice(0, BARS_MAX).map(({ label, value, share }) => ({ label, text: format(value, unit), share }))}>
      {(rows) => {
        const sorted = topped(rows);
        return (
          <ol className="bars">
            {sorted.slice(0, BARS_MAX).map(({ label, value, share }, index) => (
              <li key={`${label} ${index}`}>
                <span className="bar-label" title={label}>{label}</span>
                <span className="number nowrap"><Judged value={value} panel={panel} /></span>
                <meter min={0} max={1} value={share} aria-hidden="true" />
              </li>
            ))}
            {sorted.length > BARS_MAX && <li className="muted small">and {sorted.length - BARS_MAX} more</li>}
          </ol>
        );
      }}
    </Rows>
  );
}
