import { useMemo, type ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { Deploy } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { PanelChart } from "../../charts/PanelChart";
import { useMovingRange, type Range } from "../../charts/range";
import { asksRate, useScraped } from "../../charts/scraped";
import { useMarkers } from "../../charts/useMarkers";
import { filled, overview } from "../../charts/variables";
import { MINUTE_MS } from "../../lib/time";
import { Section } from "../../ui/Section";

const AROUND_MS = 15 * MINUTE_MS;
const PANELS_MAX = 2;
/** The service is asked each second while the deploy runs and a little longer. */
const CLOSE_S = 1;
const CLOSE_AFTER_MS = 2 * MINUTE_MS;

/** The service's first graphs around the deploy: from a quarter hour before it to a quarter hour after. */
export function DeployGraphs({ deploy }: { deploy: Deploy }): ReactElement | null {
  const dashboards = useQuery("dashboards", graphs.dashboards, { touches: ["dashboard.", "service."] });
  const live = useMovingRange("15m");
  const end = deploy.finished_at ? Date.parse(deploy.finished_at) + AROUND_MS : null;
  const past = end !== null && end < Date.now();
  const close = !deploy.finished_at || Date.parse(deploy.finished_at) + CLOSE_AFTER_MS > live.toMs;
  const around = useMemo<Range>(
    () => (past && end !== null ? { fromMs: Date.parse(deploy.started_at) - AROUND_MS, toMs: end, name: null, text: "15 min before to 15 min after" } : close ? { ...live, step: CLOSE_S } : live),
    [past, end, close, deploy.started_at, live],
  );
  const dashboard = dashboards.data?.items.find(({ service }) => service === deploy.service) ?? null;
  const panels = (dashboard?.panels.filter(({ kind }) => kind !== "text") ?? []).slice(0, PANELS_MAX);
  const range = useScraped(around, asksRate(panels));
  const markers = useMarkers(range, deploy.service);
  if (!dashboard || panels.length === 0) return null;
  return (
    <Section title="Graphs around it" end={<span className="muted">{range.text}</span>}>
      <div className="grid-2">
        {panels.map((panel, at) => <PanelChart key={`${panel.title} ${at}`} panel={filled(panel, overview(dashboard.variables), range)} range={range} markers={markers} sync="deploy" explore />)}
      </div>
    </Section>
  );
}
