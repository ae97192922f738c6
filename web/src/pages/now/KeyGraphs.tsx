import type { ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { Panel } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { MarkerKey } from "../../charts/MarkerKey";
import { PanelChart } from "../../charts/PanelChart";
import { RangePicker } from "../../charts/RangePicker";
import { useRange } from "../../charts/range";
import { asksRate, useScraped } from "../../charts/scraped";
import { useMarkers } from "../../charts/useMarkers";
import { filled, overview } from "../../charts/variables";
import { Link } from "../../router/Link";
import { Empty } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";

const PANELS_MAX = 4;
const NO_PANELS: Panel[] = [];
/** Words are read on the dashboard's own page. */
const isDrawn = ({ kind }: Panel): boolean => kind !== "text";

/** The first graphs of the first dashboard, with what the record says happened. */
export function KeyGraphs(): ReactElement {
  const query = useQuery("dashboards", graphs.dashboards, { touches: ["dashboard.", "service."] });
  // A service that is not measured yet has a page without graphs.
  const first = query.data?.items.find(({ panels }) => panels.some(isDrawn));
  const panels = first?.panels.filter(isDrawn).slice(0, PANELS_MAX) ?? NO_PANELS;
  const range = useScraped(useRange(), asksRate(panels));
  const markers = useMarkers(range);
  return (
    <Section title="Graphs" end={<RangePicker range={range} />}>
      <Loaded query={query}>
        {() => {
          if (!first) {
            return (
              <Empty title="No graph yet." command="tenfold apply demo/config">
                Apply a service with a target to scrape; its dashboard makes itself.
              </Empty>
            );
          }
          return (
            <>
              <div className="grid-2">
                {panels.map((panel, at) => (
                  <PanelChart key={`${panel.title} ${at}`} panel={filled(panel, overview(first.variables), range)} range={range} markers={markers} sync="now" zoom explore />
                ))}
              </div>
              <div className="section-head">
                <MarkerKey />
                <Link className="end" to={`/graphs/${encodeURIComponent(first.name)}`}>All graphs of {first.title}</Link>
              </div>
            </>
          );
        }}
      </Loaded>
    </Section>
  );
}
