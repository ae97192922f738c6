import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { FlagAction, FlagSchedule } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import type { Look } from "../../lib/status";
import { HOUR_MS, toLocalInput, zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, Section } from "../../ui/Section";

const LOOKS: Record<string, Look> = { pending: "busy", done: "ok", cancelled: "quiet", missed: "warning", failed: "critical" };
const ENDED_SHOWN = 3;

/** One scheduled change, with the button that takes it back. */
export function ScheduleItem({ schedule, named }: { schedule: FlagSchedule; named?: boolean }): ReactElement {
  const { busy, run } = useAction("flag.");
  return (
    <li className="stack tight">
      <div className="buttons">
        <Status look={LOOKS[schedule.state] ?? "unknown"}>{schedule.state.charAt(0).toUpperCase() + schedule.state.slice(1)}</Status>
        <span>{named ? schedule.text : schedule.text.replace(` in ${schedule.environment}`, "").replace(` ${schedule.flag}`, "")}</span>
        <span className="muted"><Time at={schedule.at} show="both" />, by {schedule.author}{schedule.remark && `, ${schedule.remark}`}</span>
        {schedule.state === "pending" && (
          <ActionButton small busy={busy} label={`Cancel schedule ${schedule.number}`} onClick={() => void run(() => flags.cancelSchedule(schedule.number), `Schedule ${schedule.number} is cancelled.`)}>Cancel</ActionButton>
        )}
      </div>
    </li>
  );
}

function Form({ flag, environment }: { flag: string; environment: string }): ReactElement {
  const [what, setWhat] = useState("on");
  const [percent, setPercent] = useState("25");
  const [plan, setPlan] = useState("");
  const [at, setAt] = useState(() => toLocalInput(Date.now() + HOUR_MS));
  const plans = useQuery("ramp-plans", flags.plans, { touches: ["ramp_plan."] }).data?.items ?? [];
  const { busy, run } = useAction("flag.");
  const ramp = plan || (plans[0]?.name ?? "");
  const action: FlagAction =
    what === "rollout" ? { kind: "rollout", percent: Number(percent) } : what === "ramp" ? { kind: "ramp", plan: ramp } : { kind: "switch", enabled: what === "on" };
  const instant = new Date(at);
  const why = Number.isNaN(instant.getTime()) ? "Say when." : instant.getTime() <= Date.now() ? "That is not in the future." : null;
  const schedule = (): void =>
    void run(
      () => flags.schedule(flag, { environment, at: instant.toISOString(), action }),
      ({ schedule, requested }) => (schedule ? `Scheduled: ${schedule.text}.` : `That waits for a second person, as change request ${requested ?? ""}.`),
    );
  return (
    <div className="form-row">
      <Field label="Change">
        <select value={what} onChange={(event) => setWhat(event.target.value)}>
          <option value="on">switch on</option>
          <option value="off">switch off</option>
          <option value="rollout">set the percentage</option>
          {plans.length > 0 && <option value="ramp">ramp by a plan</option>}
        </select>
      </Field>
      {what === "rollout" && <Field label="Percent"><input type="number" min={0} max={100} step={0.01} value={percent} onChange={(event) => setPercent(event.target.value)} /></Field>}
      {what === "ramp" && <Field label="Plan"><select value={ramp} onChange={(event) => setPlan(event.target.value)}>{plans.map(({ name }) => <option key={name}>{name}</option>)}</select></Field>}
      <Field label={`At (${zone})`}><input type="datetime-local" value={at} onChange={(event) => setAt(event.target.value)} /></Field>
      <ActionButton busy={busy} why={why} tight onClick={schedule}>Schedule</ActionButton>
    </div>
  );
}

/** What is to happen to a flag in one environment, and when. */
export function Schedule({ flag, environment }: { flag: string; environment: string }): ReactElement {
  const query = useQuery(`schedules:${flag}`, () => flags.schedules({ flag }), { touches: ["flag.schedule", "flag.change"] });
  return (
    <Section title={`Scheduled in ${environment}`}>
      <div className="panel pad stack">
        <Loaded query={query}>
          {({ items }) => {
            const here = items.filter((schedule) => schedule.environment === environment);
            const pending = here.filter(({ state }) => state === "pending").reverse();
            const shown = [...pending, ...here.filter(({ state }) => state !== "pending").slice(0, ENDED_SHOWN)];
            return shown.length === 0 ? <p className="muted">Nothing. A change planned here is done once, at its instant.</p> : <ul className="stack tight">{shown.map((schedule) => <ScheduleItem key={schedule.number} schedule={schedule} />)}</ul>;
          }}
        </Loaded>
        <Form flag={flag} environment={environment} />
      </div>
    </Section>
  );
}
