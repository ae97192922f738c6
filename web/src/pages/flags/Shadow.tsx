import type { ReactElement } from "react";
import { PanelChart } from "../../charts/PanelChart";
import type { Panel } from "../../api/types";
import { useMovingRange } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import { Section } from "../../ui/Section";


/** What the new path costs beside the old one, from the metrics that the service sends for this flag. */
export function ShadowCost({ flag, environment }: { flag: string; environment: string }): ReactElement {
  const range = useMovingRange("1h");
  const markers = useMarkers(range);
  const of = `{flag="${flag}",environment="${environment}"}`;
  const time: Panel = {
    title: "Time by path",
    unit: "s",
    queries: [{ expr: `sum by (path) (rate(flag_shadow_seconds_sum${of}[5m])) / sum by (path) (rate(flag_shadow_seconds_count${of}[5m]))`, legend: "{{path}}" }],
  } as Panel;
  const errors: Panel = {
    title: "Errors by path",
    unit: "short",
    queries: [{ expr: `sum by (path) (rate(flag_shadow_errors_total${of}[5m]))`, legend: "{{path}}" }],
  } as Panel;
  return (
    <Section title="What the shadow costs">
      <div className="grid-2">
        <PanelChart panel={time} range={range} markers={markers} sync="shadow" />
        <PanelChart panel={errors} range={range} markers={markers} sync="shadow" />
      </div>
    </Section>
  );
}
