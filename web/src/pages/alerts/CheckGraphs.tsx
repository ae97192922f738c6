import type { ReactElement } from "react";
import type { Check, Panel } from "../../api/types";
import { PanelChart } from "../../charts/PanelChart";
import { RangePicker } from "../../charts/RangePicker";
import { useRange } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import type { Opening } from "../../parts/alertGraph";
import { Section } from "../../ui/Section";

const GRAPHS_MAX = 8;

const quoted = (text: string): string => JSON.stringify(text);

/** Where the plugin says that it warns, as lines of their own. */
function thresholds({ warning, critical }: Check["values"][number]): Panel["queries"] {
  const lines: [string, number | null | undefined][] = [["warning", warning], ["critical", critical]];
  return lines.flatMap(([word, at]) => (at === null || at === undefined ? [] : [{ expr: String(at), legend: `${word} ${at}` }]));
}

function panels(check: Check): Panel[] {
  const of = `check=${quoted(check.name)}`;
  const values = check.values.slice(0, GRAPHS_MAX).map((value) => ({
    title: value.unit ? `${value.label} (${value.unit})` : value.label,
    unit: "short",
    queries: [{ expr: `check_perfdata{${of},perf=${quoted(value.label)}}`, legend: value.label }, ...thresholds(value)],
  }));
  return [...values, { title: "Status (0 is OK, 2 critical)", unit: "short", queries: [{ expr: `check_status{${of}}`, legend: "status" }] }];
}

/** The values of a check over time, with the thresholds of its plugin, and its status. */
export function CheckGraphs({ check, opening = {} }: { check: Check; opening?: Opening }): ReactElement {
  const range = useRange(opening.name, opening.ends);
  const markers = useMarkers(range, check.spec.service);
  return (
    <Section title="Graphs" end={<RangePicker range={range} />}>
      <div className="grid-2">
        {panels(check).map((panel) => <PanelChart key={panel.title} panel={panel} range={range} markers={markers} sync={`check-${check.name}`} height={140} zoom />)}
      </div>
    </Section>
  );
}
