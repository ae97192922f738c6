import { useState, type ReactElement } from "react";
import type { Dashboard, Marker, Variable } from "../../api/types";
import type { Range } from "../../charts/range";
import { named, type Values } from "../../charts/variables";
import { plural } from "../../lib/units";
import { DashboardPanel } from "./DashboardPanel";
import { panelRows, type PanelRow } from "./rows";

/** A page of more panels than this asks for those that somebody sees. */
const AT_ONCE_MAX = 24;

interface Props {
  dashboard: Dashboard;
  variables: Variable[];
  values: Values;
  range: Range;
  markers: Marker[];
}

function Row({ row, folded, later, ...rest }: Omit<Props, "dashboard"> & { row: PanelRow; folded: boolean; later: boolean }): ReactElement {
  const [open, setOpen] = useState(!folded);
  const grid = (
    <div className="grid-3">
      {row.panels.map((panel, at) => <DashboardPanel key={`${panel.title} ${at}`} panel={panel} later={later} {...rest} />)}
    </div>
  );
  if (row.title === null) return grid;
  return (
    <div className="stack">
      <h3 className="row-title">
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span aria-hidden="true">{open ? "▾" : "▸"}</span> {named(row.title, rest.values)}
          {!open && <span className="muted small"> {plural(row.panels.length, "panel")}</span>}
        </button>
      </h3>
      {open && grid}
    </div>
  );
}

/** The panels of a dashboard. What is folded asks nothing. */
export function PanelRows({ dashboard, ...rest }: Props): ReactElement {
  const folded = new Set(dashboard.folded ?? []);
  return (
    <>
      {panelRows(dashboard.panels).map((row, at) => (
        <Row key={`${row.title ?? ""} ${at}`} row={row} folded={row.title !== null && folded.has(row.title)} later={dashboard.panels.length > AT_ONCE_MAX} {...rest} />
      ))}
    </>
  );
}
