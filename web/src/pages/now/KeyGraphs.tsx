import type { ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { MarkerKey } from "../../charts/MarkerKey";
import { PanelChart } from "../../charts/PanelChart";
import { RangePicker } from "../../charts/RangePicker";
import { useRange } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import { Link } from "../../router/Link";
import { Empty } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";

const PANELS_MAX = 4;

/** The first graphs of the first dashboard, with what the record says happened. */
export function KeyGraphs(): ReactElement {
  const range = useRange();
  const query = useQuery("dashboards", graphs.dashboards, { touches: ["dashboard.", "service."] });
  const markers = useMarkers(range);
  return (
    <Section title="Graphs" end={<RangePicker range={range} />}>
      <Loaded query={query}>
        {({ items }) => {
          // A service that is not measured yet has a page without graphs.
          const first = items.find(({ panels }) => panels.length > 0);
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
                {first.panels.slice(0, PANELS_MAX).map((panel) => (
                  <PanelChart key={panel.title} panel={panel} range={range} markers={markers} sync="now" zoom />
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
