import { useState, type ReactElement } from "react";
import type { Dashboard, Marker, Panel, Variable } from "../../api/types";
import type { Range } from "../../charts/range";
import { named, type Values } from "../../charts/variables";
import { plural } from "../../lib/units";
import { Link } from "../../router/Link";
import { addressWith, useParams } from "../../router/router";
import { DashboardPanel } from "./DashboardPanel";
import { addressNames, panelRows, type PanelRow } from "./rows";

/** A page of more panels than this asks for those that somebody sees. */
const AT_ONCE_MAX = 24;
const LARGE_PX = 420;

interface Props {
  dashboard: Dashboard;
  variables: Variable[];
  values: Values;
  range: Range;
  markers: Marker[];
}

type RowProps = Omit<Props, "dashboard"> & { row: PanelRow; folded: boolean; later: boolean; large: (panel: Panel) => string | undefined };

function Row({ row, folded, later, large, ...rest }: RowProps): ReactElement {
  const [open, setOpen] = useState(!folded);
  const grid = (
    <div className="grid-3">
      {row.panels.map((panel, at) => <DashboardPanel key={`${panel.title} ${at}`} panel={panel} later={later} large={large(panel)} {...rest} />)}
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

/** The panels of a dashboard, or the one that the address names, large. What is folded asks nothing. */
export function PanelRows({ dashboard, ...rest }: Props): ReactElement {
  const wanted = useParams().get("panel");
  const names = addressNames(dashboard.panels);
  const one = wanted ? dashboard.panels[names.indexOf(wanted)] : undefined;
  const folded = new Set(dashboard.folded ?? []);
  const all = <Link className="inline-link" to={addressWith({ panel: null })}>All panels</Link>;
  if (one) {
    return (
      <>
        <p>{all}</p>
        <div className="grid-3"><DashboardPanel panel={{ ...one, width: 3 }} height={LARGE_PX} later={false} {...rest} /></div>
      </>
    );
  }
  const large = (panel: Panel): string | undefined => (panel.kind === "text" ? undefined : addressWith({ panel: names[dashboard.panels.indexOf(panel)] ?? null }));
  return (
    <>
      {wanted && <p className="muted">No panel is called {wanted} any more. {all}</p>}
      {panelRows(dashboard.panels).map((row, at) => (
        <Row key={`${row.title ?? ""} ${at}`} row={row} folded={row.title !== null && folded.has(row.title)} later={dashboard.panels.length > AT_ONCE_MAX} large={large} {...rest} />
      ))}
    </>
  );
}
