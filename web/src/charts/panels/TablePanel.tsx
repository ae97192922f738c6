import { useMemo, useState, type ReactElement } from "react";
import type { Panel, PanelSort } from "../../api/types";
import { SortHead } from "../../ui/SortHead";
import { cells, columnsOf, rowsOf, sorted, type Column } from "../columns";
import { toCsv } from "../csv";
import type { Range } from "../range";
import { Judged, Rows } from "./NewestPanels";
import { ROWS_MAX, type Newest } from "./useNewest";

/** Series and their values below each other: the columns of a panel that says nothing of them. */
function Plain({ panel, rows }: { panel: Panel; rows: Newest[] }): ReactElement {
  return (
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
  );
}

function Head({ column, sort, onSort }: { column: Column; sort: PanelSort | null; onSort: (sort: PanelSort) => void }): ReactElement {
  const by = sort?.by === column.name ? sort : null;
  const press = (): void => onSort({ by: column.name, descending: by ? !by.descending : column.query !== null });
  return <SortHead title={column.title} className={column.query === null ? undefined : "number"} way={by ? (by.descending ? "descending" : "ascending") : null} onPress={press} />;
}

function Laid({ panel, newest }: { panel: Panel; newest: Newest[] }): ReactElement {
  const [pressed, setPressed] = useState<PanelSort | null>(null);
  const sort = pressed ?? panel.sort ?? null;
  const rows = useMemo(() => rowsOf(newest, panel.queries.length), [newest, panel.queries.length]);
  const columns = useMemo(() => columnsOf(rows, panel), [rows, panel]);
  const shown = useMemo(() => sorted(rows, sort), [rows, sort?.by, sort?.descending]);
  return (
    <div className="chart-table" tabIndex={0} role="region" aria-label={`${panel.title} as a table`}>
      <table>
        <thead><tr>{columns.map((column) => <Head key={column.name} column={column} sort={sort} onSort={setPressed} />)}</tr></thead>
        <tbody>
          {shown.slice(0, ROWS_MAX).map((row) => (
            <tr key={JSON.stringify(row.labels)}>
              {columns.map(({ name, query, unit }) => query === null
                ? <td key={name} className="wrap-any">{row.labels[name] ?? ""}</td>
                : <td key={name} className="number nowrap"><Judged value={row.values[query] ?? null} panel={panel} unit={unit} /></td>)}
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length > ROWS_MAX && <p className="muted small">and {shown.length - ROWS_MAX} more</p>}
    </div>
  );
}

/** With the columns that a panel names, or sorted, there is one for each label. */
const isLaid = ({ columns, sort }: Panel): boolean => Boolean(columns?.length) || Boolean(sort);

function laidCsv(newest: Newest[], panel: Panel): string {
  const rows = sorted(rowsOf(newest, panel.queries.length), panel.sort);
  const columns = columnsOf(rows, panel);
  return toCsv([columns.map(({ title }) => title), ...rows.map((row) => cells(row, columns))]);
}

export function TablePanel({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  return (
    <Rows panel={panel} range={range} csv={isLaid(panel) ? (rows) => laidCsv(rows, panel) : undefined}>
      {(rows) => (isLaid(panel) ? <Laid panel={panel} newest={rows} /> : <Plain panel={panel} rows={rows} />)}
    </Rows>
  );
}
