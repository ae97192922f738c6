import { useState, type FormEvent, type ReactElement } from "react";
import { oncall, people } from "../../api/endpoints";
import type { Schedule } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { HOUR_MS, toLocalInput, zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";

const SHIFT_HOURS = 8;

/** Somebody stands in for a stretch of time. */
export function OverrideDialog({ open, onClose, schedule }: { open: boolean; onClose: () => void; schedule: Schedule }): ReactElement {
  const { person: me } = useSession();
  const everybody = useQuery("people", people.list, { touches: ["person."] });
  const nextHour = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS;
  const [kind, setKind] = useState("replace");
  const [person, setPerson] = useState(me.login);
  const [start, setStart] = useState(toLocalInput(nextHour));
  const [end, setEnd] = useState(toLocalInput(nextHour + SHIFT_HOURS * HOUR_MS));
  const { busy, run } = useAction("override.", "schedule.");
  const backwards = Date.parse(end) <= Date.parse(start);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (backwards) return;
    const made = await run(() => oncall.override(schedule.name, { kind, person, start: new Date(start).toISOString(), end: new Date(end).toISOString() }), { replace: `${person} stands in.`, add: `${person} is on call too.`, remove: `${person} is off.` }[kind]);
    if (made) onClose();
  };
  return (
    <Dialog open={open} onClose={onClose} title={`Override for ${schedule.name}`}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="What">
          <select value={kind} onChange={(event) => setKind(event.target.value)}>
            <option value="replace">is on call instead of everybody</option>
            <option value="add">is on call too</option>
            <option value="remove">is not on call</option>
          </select>
        </Field>
        <Field label="Who">
          <select value={person} onChange={(event) => setPerson(event.target.value)}>
            {(everybody.data?.items ?? [me]).map(({ login, name }) => <option key={login} value={login}>{login} ({name})</option>)}
          </select>
        </Field>
        <Field label={`From (${zone})`}><input type="datetime-local" required value={start} onChange={(event) => setStart(event.target.value)} /></Field>
        <Field label={`Until (${zone})`}><input type="datetime-local" required value={end} onChange={(event) => setEnd(event.target.value)} /></Field>
        {backwards && <p className="form-error" role="alert">It would end before it begins.</p>}
        <div><button type="submit" className="button primary" disabled={busy || backwards}>Add the override</button></div>
      </form>
    </Dialog>
  );
}
