import type { ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { Dashboard } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { MarkerKey } from "../../charts/MarkerKey";
import { PanelChart } from "../../charts/PanelChart";
import { RangePicker } from "../../charts/RangePicker";
import { useRange, type Range } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import { Link } from "../../router/Link";
import type { PageProps } from "../../shell/routes";
import { zone } from "../../lib/time";
import { Empty } from "../../ui/basics";
import { Loaded, PageFrame } from "../../ui/Section";
import { Tabs } from "../../ui/Tabs";
import { Targets } from "./Targets";

function Panels({ dashboard, range }: { dashboard: Dashboard; range: Range }): ReactElement {
  const markers = useMarkers(range, dashboard.service);
  return (
    <section className="section" aria-label={`Graphs of ${dashboard.title}`}>
      <h2 className="sr-only">{dashboard.title}</h2>
      <div className="grid-3">
        {dashboard.panels.map((panel) => <PanelChart key={panel.title} panel={panel} range={range} markers={markers} sync="graphs" zoom />)}
      </div>
      <div className="section-head">
        <MarkerKey />
        <span className="end muted small">Drag over a graph to look closer. Times are in {zone}.</span>
      </div>
    </section>
  );
}

/** The dashboards; each is a tab with its own address. */
export default function GraphsPage({ params }: PageProps): ReactElement {
  const range = useRange();
  const query = useQuery("dashboards", graphs.dashboards, { touches: ["dashboard.", "service."] });
  return (
    <PageFrame title="Graphs" actions={<RangePicker range={range} />}>
      <Loaded query={query}>
        {({ items }) => {
          const chosen = params.name ? items.find(({ name }) => name === params.name) : items[0];
          const tabs = [
            ...items.map(({ name, title }) => ({ name, to: `/graphs/${encodeURIComponent(name)}${location.search}`, text: title })),
            { name: "explore", to: `/graphs/explore${location.search}`, text: "Explore" },
          ];
          return (
            <>
              <Tabs label="Dashboards" tabs={tabs} current={chosen?.name ?? ""} />
              {chosen ? (
                <Panels dashboard={chosen} range={range} />
              ) : params.name ? (
                <Empty title={`No dashboard is named ${params.name}.`}><Link className="inline-link" to="/graphs">The first one</Link></Empty>
              ) : (
                <Empty title="No dashboard yet." command="tenfold apply demo/config">A service with a target to scrape gets its dashboard by itself.</Empty>
              )}
            </>
          );
        }}
      </Loaded>
      <Targets />
    </PageFrame>
  );
}
