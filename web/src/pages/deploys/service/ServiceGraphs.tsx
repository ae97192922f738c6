import type { ReactElement } from "react";
import { graphs } from "../../../api/endpoints";
import type { Dashboard } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { PanelChart } from "../../../charts/PanelChart";
import { useMovingRange } from "../../../charts/range";
import { asksRate, useScraped } from "../../../charts/scraped";
import { useMarkers } from "../../../charts/useMarkers";
import { filled, overview } from "../../../charts/variables";
import { Link } from "../../../router/Link";
import { Section } from "../../../ui/Section";

/** Requests, errors and time, and what the service runs short of first. */
const PANELS_MAX = 6;
const RANGE = "1h";

function Panels({ dashboard, service }: { dashboard: Dashboard; service: string }): ReactElement {
  const panels = dashboard.panels.filter(({ kind }) => kind !== "text").slice(0, PANELS_MAX);
  const range = useScraped(useMovingRange(RANGE), asksRate(panels));
  const markers = useMarkers(range, service);
  return (
    <Section title="Graphs" end={<><span className="muted">{range.text}</span> <Link to={`/graphs/${encodeURIComponent(dashboard.name)}`}>All of them</Link></>}>
      <div className="grid-3">
        {panels.map((panel, at) => <PanelChart key={`${panel.title} ${at}`} panel={filled(panel, overview(dashboard.variables), range)} range={range} markers={markers} sync="service" explore />)}
      </div>
    </Section>
  );
}

/** The first graphs of the service's dashboard, with what happened on them. */
export function ServiceGraphs({ service }: { service: string }): ReactElement | null {
  const query = useQuery("dashboards", graphs.dashboards, { touches: ["dashboard.", "service."] });
  const dashboard = query.data?.items.find((one) => one.service === service);
  return dashboard && dashboard.panels.length > 0 ? <Panels dashboard={dashboard} service={service} /> : null;
}
