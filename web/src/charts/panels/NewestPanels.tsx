/** Panels that show how it stands: one large value, a table, or bars. */
import type { ReactElement, ReactNode } from "react";
import type { Panel } from "../../api/types";
import { format } from "../../lib/units";
import { Loaded } from "../../ui/Section";
import type { Range } from "../range";
import { ROWS_MAX, useNewest, type Newest } from "./useNewest";

const BARS_MAX = 20;

/** A panel with its title. */
export function Frame({ panel, end, children }: { panel: Panel; end?: ReactNode; children: ReactNode }): ReactElement {
  return (
    <section className="chart panel" aria-label={panel.title}>
      <div className="chart-head"><h3 title={panel.description ?? undefined}>{panel.title}</h3>{end}</div>
      {children}
    </section>
  );
}

function Rows({ panel, range, children }: { panel: Panel; range: Range; children: (rows: Newest[]) => ReactNode }): ReactElement {
  const newest = useNewest(panel.queries, range);
  return (
    <Frame panel={panel}>
      <Loaded query={newest}>{(rows) => (rows.length === 0 ? <p className="muted">No data.</p> : children(rows))}</Loaded>
    </Frame>
  );
}

export function StatPanel({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  const unit = panel.unit ?? "short";
  return (
    <Rows panel={panel} range={range}>
      {(rows) => (
        <ul className="stats">
          {rows.slice(0, BARS_MAX).map(({ label, value }) => (
            <li key={label}>
              <span className="stat-value">{format(value, unit)}</span>
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
                <tr key={`${label} ${index}`}><td className="wrap-any">{label}</td><td className="number nowrap">{format(value, panel.unit ?? "short")}</td></tr>
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
    <Rows panel={panel} range={range}>
      {(rows) => {
        const sorted = rows.filter(({ value }) => value !== null).sort((a, b) => b.value! - a.value!);
        const most = Math.max(...sorted.map(({ value }) => value!), 0);
        return (
          <ol className="bars">
            {sorted.slice(0, BARS_MAX).map(({ label, value }) => (
              <li key={label}>
                <span className="bar-label" title={label}>{label}</span>
                <span className="number nowrap">{format(value, panel.unit ?? "short")}</span>
                <meter min={0} max={most || 1} value={Math.max(0, value!)} aria-hidden="true" />
              </li>
            ))}
            {sorted.length > BARS_MAX && <li className="muted small">and {sorted.length - BARS_MAX} more</li>}
          </ol>
        );
      }}
    </Rows>
  );
}
