import { useState, type ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import type { Override, Schedule } from "../../api/types";
import { HOUR_MS } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { lacks, useLacks, useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Section } from "../../ui/Section";
import { Calendar } from "./Calendar";
import { CalendarState } from "./CalendarState";
import { Handoff } from "./Handoff";
import { LayerChart } from "./LayerChart";
import { OverrideDialog } from "./OverrideDialog";
import { PlanDialog } from "./PlanDialog";
import { SwapDialog } from "./SwapDialog";
import { TableWrap } from "../../ui/TableWrap";
import { withRests } from "./rest";

const TAKE_HOURS = 2;
const TOUCHES = ["override.", "schedule."];

function said({ kind, person, replaces }: Override): string {
  if (kind === "temporary") return "a temporary schedule";
  if (kind === "remove") return `without ${person}`;
  if (kind === "add") return `${person} too`;
  return replaces ? `${person} for ${replaces}` : person;
}

function Overrides({ schedule }: { schedule: Schedule }): ReactElement | null {
  const { busy, run } = useAction(...TOUCHES);
  const why = useLacks("responder", true);
  const coming = schedule.overrides.filter(({ end }) => Date.parse(end) > Date.now());
  if (coming.length === 0) return null;
  return (
    <TableWrap>
      <table className="stacks">
        <thead><tr><th scope="col">Override</th><th scope="col">From</th><th scope="col">Until</th><th scope="col">Made by</th><th scope="col"><span className="sr-only">Do</span></th></tr></thead>
        <tbody>
          {coming.map((override) => (
            <tr key={override.id}>
              <td className="strong">{said(override)}</td>
              <td><Time at={override.start} show="both" /></td>
              <td><Time at={override.end} show="both" /></td>
              <td>{override.by}</td>
              <td className="fit">
                <ActionButton small busy={busy} why={why} tight label={`Remove the override: ${said(override)}`} onClick={() => void run(() => oncall.removeOverride(schedule.name, override.id), "The override is removed.")}>Remove</ActionButton>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableWrap>
  );
}

/** One schedule: who is on now, the calendar, the overrides. */
export function ScheduleSection({ schedule }: { schedule: Schedule }): ReactElement {
  const { person } = useSession();
  const [open, setOpen] = useState<"override" | "swap" | "edit" | null>(null);
  const { busy, run } = useAction(...TOUCHES);
  const current = schedule.on_call?.person;
  const [address, setAddress] = useState<string | null>(null);
  const close = (): void => setOpen(null);
  const renew = async (): Promise<void> => {
    const made = await run(() => oncall.renewScheduleCalendar(schedule.name), "The address before ends for everybody.");
    if (made) setAddress(made.url);
  };
  const mine = schedule.next.filter((shift) => shift.person?.login === person.login);
  const why = lacks(person, "responder", true);
  const take = (): void => {
    void run(() => oncall.take(schedule.name, TAKE_HOURS * HOUR_MS), (taken) => withRests(`You are on call for ${schedule.name} for ${TAKE_HOURS} h.`, taken));
  };
  return (
    <Section title={schedule.name} end={<span className="muted">{schedule.layers.map((layer) => layer.handoff).slice(0, 2).join("; ")}</span>}>
      <div className="buttons">
        {current ? (
          <p><span className="strong">{current.name || current.login}</span> <span className="tag">{current.kind}</span> is on call{(schedule.on_call?.also ?? []).map((other) => ` with ${other.name}`).join("")} <span className="muted">until <Time at={schedule.on_call?.until} show="both" /></span></p>
        ) : (
          <Status look="critical">Nobody is on call</Status>
        )}
        <span className="right buttons">
          <ActionButton busy={busy} why={why ?? (current?.login === person.login ? "You are on call." : null)} onClick={take}>Take it for {TAKE_HOURS} h</ActionButton>
          <ActionButton why={why} tight onClick={() => setOpen("override")}>Add an override</ActionButton>
          <ActionButton why={why ?? (mine.length === 0 ? "You have no shift here in the next 14 days." : null)} tight={why !== null} onClick={() => setOpen("swap")}>Swap a shift</ActionButton>
          <ActionButton busy={busy} why={why} tight label={`New calendar address of ${schedule.name}`} onClick={() => void renew()}>Calendar address</ActionButton>
          <ActionButton why={lacks(person, "deployer", true)} onClick={() => setOpen("edit")}>Edit</ActionButton>
        </span>
      </div>
      {address && <p role="status">Shown this once: <code className="wrap">{address}</code></p>}
      {schedule.calendar && <CalendarState calendar={schedule.calendar} />}
      <Calendar schedule={schedule} me={person.login} />
      <Overrides schedule={schedule} />
      <LayerChart schedule={schedule} />
      <Handoff schedule={schedule} />
      {open === "override" && <OverrideDialog onClose={close} schedule={schedule} />}
      {open === "swap" && <SwapDialog onClose={close} schedule={schedule} mine={mine} />}
      {open === "edit" && <PlanDialog onClose={close} schedule={schedule} />}
    </Section>
  );
}
