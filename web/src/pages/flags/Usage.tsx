import { useMemo, type ReactElement } from "react";
import type { FlagEnvironment } from "../../api/types";
import { MarkerKey } from "../../charts/MarkerKey";
import { PanelChart } from "../../charts/PanelChart";
import { RangePicker } from "../../charts/RangePicker";
import { useRange } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import { count, format } from "../../lib/units";
import { Section } from "../../ui/Section";

interface Props {
  flag: string;
  environment: string;
  state: FlagEnvironment;
}

/** How often clients ask and what they are told, with what the record says happened. */
export function Usage({ flag, environment, state }: Props): ReactElement {
  const range = useRange("1h");
  const markers = useMarkers(range);
  const of = useMemo(() => markers.filter((marker) => marker.kind !== "flip" || marker.subject.flag === flag), [markers, flag]);
  const usage = state.usage;
  const total = usage.yes + usage.no;
  const variants = Object.entries(usage.by_variant ?? {});
  const by = `flag="${flag}",environment="${environment}"`;
  const panel = {
    title: "Answers by outcome", unit: "ops",
    queries: [{ expr: `sum by (enabled) (rate(tenfold_flag_evaluations_total{${by}}[2m]))`, legend: "enabled={{enabled}}" }],
  };
  return (
    <Section title="Asked by clients" end={<RangePicker range={range} />}>
      {total === 0 ? (
        <p className="muted">No client has asked since the server started. A flag nobody asks for does nothing: is its code deployed?</p>
      ) : (
        <dl className="facts">
          <dt>On</dt><dd>{count(usage.yes)} <span className="muted">({format(usage.yes / total, "ratio")})</span></dd>
          <dt>Off</dt><dd>{count(usage.no)}</dd>
          {variants.map(([name, n]) => (
            <div key={name} style={{ display: "contents" }}><dt>{name}</dt><dd>{count(n)}</dd></div>
          ))}
        </dl>
      )}
      <PanelChart panel={panel} range={range} markers={of} zoom height={130} />
      <MarkerKey />
    </Section>
  );
}
