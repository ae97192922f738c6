import type { ReactElement } from "react";
import { permits } from "../../api/endpoints";
import type { Panel, Permit } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { PanelChart } from "../../charts/PanelChart";
import { useMarkers } from "../../charts/useMarkers";
import { RangePicker } from "../../charts/RangePicker";
import { useRange, type Range } from "../../charts/range";
import type { Look } from "../../lib/status";
import { duration } from "../../lib/time";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { FlagNav } from "../flags/FlagNav";
import { figure } from "../flags/Guard";

const PHASES: Record<Permit["phase"], [Look, string]> = {
  rising: ["ok", "Rising"],
  falling: ["warning", "Falling"],
  fail_safe: ["unknown", "Fail-safe"],
};

const percent = (value: number): string => `${Math.round(value * 100)} %`;

function panels(permit: Permit): Panel[] {
  const of = `{permit="${permit.job}"}`;
  return [
    { title: `Permit of ${permit.job}`, unit: "ratio", queries: [{ expr: `tenfold_permit${of}`, legend: "permit" }] },
    { title: `Signal of ${permit.job}`, unit: "short", queries: [{ expr: `tenfold_permit_signal${of}`, legend: "signal" }] },
  ];
}

function One({ permit, range }: { permit: Permit; range: Range }): ReactElement {
  const markers = useMarkers(range);
  // The server always says what a definition left out.
  const law = { floor: 0, ceiling: 1, increase: 0, decrease: 1, interval_ms: 0, settle_ms: 0, ...permit.law };
  const { state } = permit;
  const [look, word] = PHASES[permit.phase];
  const level = permit.phase === "rising" && permit.permit >= law.ceiling ? "At its ceiling" : permit.phase === "falling" && permit.permit <= law.floor ? "At its floor" : word;
  return (
    <Section title={permit.job} end={law.environment && <span className="muted">{law.environment}</span>}>
      <div className="panel pad stack tight">
        <div className="buttons">
          <strong className="permit-now">{percent(permit.permit)}</strong>
          <Status look={look}>{level}</Status>
          {state && <span className="muted">looked <Time at={state.evaluated_at} /></span>}
        </div>
        {law.description && <p>{law.description}</p>}
        <pre className="expression">{law.query.trim()}</pre>
        <span className="muted">
          {state?.trouble ? `${state.trouble}. ` : typeof state?.signal === "number" ? `The signal is ${figure(state.signal)}. ` : ""}
          Falls {law.worse === "down" ? "below" : "above"} {figure(law.limit)} by a factor of {law.decrease}, at most every {duration(law.settle_ms)}; rises by {percent(law.increase)} every {duration(law.interval_ms)} once it is back at {figure(law.resume)}. From {percent(law.floor)} to {percent(law.ceiling)}, {percent(law.fail_safe)} without a signal.
        </span>
        <div className="grid-2">
          {panels(permit).map((panel) => <PanelChart key={panel.title} panel={panel} range={range} markers={markers} sync={`permit-${permit.job}`} height={120} zoom />)}
        </div>
      </div>
    </Section>
  );
}

/** How much each job may do now, and what steers it. */
export default function PermitsPage(): ReactElement {
  const query = useQuery("permits", permits.list, { touches: ["permit."], everyMs: 5_000 });
  const range = useRange();
  return (
    <PageFrame title="Permits" sub="How much of its work a job may do now" actions={<RangePicker range={range} />}>
      <FlagNav />
      <Loaded query={query}>
        {({ items }) => (items.length === 0
          ? <Empty title="There are no permits yet" command='tenfold permit set resize --query "db_queue_length" --limit 100 --resume 60 --fail-safe 0.1'>A job asks GET /api/permits/JOB and slows down by itself when what it burdens gets slow.</Empty>
          : items.map((permit) => <One key={permit.job} permit={permit} range={range} />))}
      </Loaded>
    </PageFrame>
  );
}
