import { useState, type FormEvent, type ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import type { OnCall, Schedule } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { absolute, clock, day, toLocalInput, zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Time } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";
import { withRests } from "./rest";

const TOUCHES = ["swap.", "override.", "schedule."];
const label = (shift: OnCall): string => `${day(shift.since)} ${clock(shift.since)} to ${day(shift.until)} ${clock(shift.until)}`;

/** Asks somebody to change shifts; nothing changes before they accept. */
export function SwapDialog({ onClose, schedule, mine }: { onClose: () => void; schedule: Schedule; mine: OnCall[] }): ReactElement {
  const { person: me } = useSession();
  const theirs = schedule.next.filter((shift) => shift.person && shift.person.login !== me.login);
  const others = schedule.people.filter((login) => login !== me.login);
  const [give, setGive] = useState(0);
  /** Only a stretch of the shift, as the form writes its ends. */
  const [part, setPart] = useState<{ from: string; until: string } | null>(null);
  const backwards = part !== null && !(Date.parse(part.until) > Date.parse(part.from));
  const pick = (index: number): void => {
    setGive(index);
    setPart(null);
  };
  const cut = (wanted: boolean): void => {
    const shift = mine[give]!;
    setPart(wanted ? { from: toLocalInput(Math.max(Date.parse(shift.since), Date.now())), until: toLocalInput(Date.parse(shift.until)) } : null);
  };
  const [wanted, setWanted] = useState(theirs.length > 0 ? "0" : others[0] ?? "");
  const { busy, run } = useAction(...TOUCHES);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const shift = theirs[Number(wanted)];
    const body = { with: shift?.person?.login ?? wanted, give: part ? new Date(part.from).toISOString() : mine[give]!.since, ...(part ? { give_until: new Date(part.until).toISOString() } : {}), ...(shift ? { take: shift.since } : {}) };
    const asked = await run(() => oncall.askSwap(schedule.name, body), (swap) => `${swap.with} is asked.`);
    if (asked) onClose();
  };
  return (
    <Dialog open onClose={onClose} title={`Swap a shift of ${schedule.name}`}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Give away">
          <select value={give} onChange={(event) => pick(Number(event.target.value))}>
            {mine.map((shift, index) => <option key={shift.since} value={index}>{label(shift)}</option>)}
          </select>
        </Field>
        <label className="inline"><input type="checkbox" checked={part !== null} onChange={(event) => cut(event.target.checked)} /> Only a part of it</label>
        {part && (
          <div className="columns even">
            <Field label={`From (${zone})`}><input type="datetime-local" required value={part.from} onChange={(event) => setPart({ ...part, from: event.target.value })} /></Field>
            <Field label="Until"><input type="datetime-local" required value={part.until} onChange={(event) => setPart({ ...part, until: event.target.value })} /></Field>
          </div>
        )}
        <Field label="For" hint="Nothing changes before the other one accepts.">
          <select value={wanted} onChange={(event) => setWanted(event.target.value)}>
            {theirs.map((shift, index) => <option key={shift.since} value={String(index)}>{shift.person?.name}: {label(shift)}</option>)}
            {others.map((login) => <option key={login} value={login}>{login}: nothing, as a favour</option>)}
          </select>
        </Field>
        <div><button type="submit" className="button primary" disabled={busy || wanted === "" || backwards}>Ask</button></div>
      </form>
    </Dialog>
  );
}

/** The swaps that wait for an answer; `mine` for those that I asked for or am asked. */
export function Swaps({ mine = false }: { mine?: boolean }): ReactElement | null {
  const { person: me } = useSession();
  const query = useQuery("swaps", oncall.swaps, { touches: ["swap."] });
  const { busy, run } = useAction(...TOUCHES);
  const items = (query.data?.items ?? []).filter((swap) => !mine || swap.from === me.login || swap.with === me.login);
  if (items.length === 0) return null;
  return (
    <Section title={mine ? "My swaps" : "Swaps that wait"}>
      <ul className="stack">
        {items.map((swap) => (
          <li key={swap.id} className="buttons">
            <span>
              <span className="strong">{swap.from}</span> asks <span className="strong">{swap.with}</span> to take {swap.schedule} from <Time at={swap.give_start} show="both" /> to <Time at={swap.give_end} show="both" />
              {swap.take_start && <> for <span title={absolute(swap.take_start)}>{day(swap.take_start)} {clock(swap.take_start)}</span></>}
            </span>
            <span className="right buttons">
              {swap.with === me.login && <ActionButton small busy={busy} label={`Accept swap ${swap.id}`} onClick={() => void run(() => oncall.acceptSwap(swap.id), (done) => withRests("The shifts have changed hands.", done))}>Accept</ActionButton>}
              {(swap.with === me.login || swap.from === me.login) && (
                <ActionButton small busy={busy} label={`${swap.with === me.login ? "Decline" : "Withdraw"} swap ${swap.id}`} onClick={() => void run(() => oncall.declineSwap(swap.id), "Nothing has changed.")}>{swap.with === me.login ? "Decline" : "Withdraw"}</ActionButton>
              )}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
