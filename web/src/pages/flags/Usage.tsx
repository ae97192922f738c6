import { useMemo, type ReactElement } from "react";
import type { FlagEnvironment } from "../../api/types";
import { MarkerKey } from "../../charts/MarkerKey";
import { PanelChart } from "../../charts/PanelChart";
import { RangePicker } from "../../charts/RangePicker";
import { useRange } from "../../charts/range";
import { useLines } from "../../charts/useLines";
import { useMarkers } from "../../charts/useMarkers";
import { count, format } from "../../lib/units";
import { Section } from "../../ui/Section";
import { usagePanels } from "./usagePanels";

interface Props {
  flag: string;
  environment: string;
  state: FlagEnvironment;
}

const givesVariants = ({ variants, strategies }: FlagEnvironment): boolean => variants.length > 0 || strategies.some((strategy) => (strategy.variants ?? []).length > 0);

/** How often clients ask and what they are told, with what the record says happened. */
export function Usage({ flag, environment, state }: Props): ReactElement {
  const range = useRange("1h");
  const markers = useMarkers(range);
  const of = useMemo(() => markers.filter((marker) => marker.kind !== "flip" || marker.subject.flag === flag), [markers, flag]);
  const usage = state.usage;
  const total = usage.yes + usage.no;
  const variants = Object.entries(usage.by_variant ?? {});
  const panels = usagePanels(flag, environment);
  // The same questions that the graphs ask, so that they are asked once.
  const outcomes = useLines(panels.outcomes.queries, range);
  const byVariant = useLines(panels.variants.queries, range);
  const asked = outcomes.loading || outcomes.note !== null || outcomes.lines.length > 0;
  const answered = byVariant.note !== null || byVariant.lines.length > 0;
  return (
    <Section title="Asked by clients" end={<RangePicker range={range} />}>
      {total > 0 && (
        <dl className="facts">
          <dt>On</dt><dd>{count(usage.yes)} <span className="muted">({format(usage.yes / total, "ratio")})</span></dd>
          <dt>Off</dt><dd>{count(usage.no)}</dd>
          {variants.map(([name, n]) => (
            <div key={name} style={{ display: "contents" }}><dt>{name}</dt><dd>{count(n)}</dd></div>
          ))}
        </dl>
      )}
      {total === 0 && !asked && !answered ? (
        <p className="muted">No client has reported use yet: a flag that nobody asks for does nothing, so look whether its code is deployed.</p>
      ) : (
        <>
          <PanelChart panel={panels.outcomes} range={range} markers={of} sync="usage" zoom height={130} />
          {(answered || variants.length > 0) && <PanelChart panel={panels.variants} range={range} markers={of} sync="usage" zoom height={130} />}
          {!answered && !byVariant.loading && variants.length === 0 && givesVariants(state) && <p className="muted">No client has reported a variant yet.</p>}
          <MarkerKey />
        </>
      )}
    </Section>
  );
}
