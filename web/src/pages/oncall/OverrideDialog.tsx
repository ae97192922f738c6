import { useState, type FormEvent, type ReactElement } from "react";
import { oncall, people } from "../../api/endpoints";
import type { Schedule } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { HOUR_MS, toLocalInput, zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { withRests } from "./rest";

const SHIFT_HOURS = 8;
const SAID: Record<string, (person: string) => string> = {
  replace: (person) => `${person} stands in.`, add: (person) => `${person} is on call too.`, remove: (person) => `${person} is off.`, temporary: () => "The temporary schedule holds.",
};
type Shift = { person: string; start: string; end: string };
const iso = (local: string): string => new Date(local).toISOString();

/** The shifts of a temporary schedule: whoever is in none of its hours is not on call in them. */
function Shifts({ shifts, logins, onChange }: { shifts: Shift[]; logins: string[]; onChange: (shifts: Shift[]) => void }): ReactElement {
  const change = (index: number, part: Partial<Shift>): void => onChange(shifts.map((shift, at) => (at === index ? { ...shift, ...part } : shift)));
  const last = shifts.at(-1)!;
  return (
    <>
      {shifts.map((shift, index) => (
        <fieldset key={index} className="layer-form">
          <legend>Shift {index + 1}</legend>
          <div className="columns even">
            <Field label="Who"><select value={shift.person} onChange={(event) => change(index, { person: event.target.value })}>{logins.map((login) => <option key={login}>{login}</option>)}</select></Field>
            <Field label="From"><input type="datetime-local" required value={shift.start} onChange={(event) => change(index, { start: event.target.value })} /></Field>
            <Field label="Until"><input type="datetime-local" required value={shift.end} onChange={(event) => change(index, { end: event.target.value })} /></Field>
          </div>
          {shifts.length > 1 && <div><button type="button" className="button small" onClick={() => onChange(shifts.filter((_, at) => at !== index))}>Remove shift {index + 1}</button></div>}
        </fieldset>
      ))}
      <div><button type="button" className="button small" onClick={() => onChange([...shifts, { ...last, start: last.end, end: toLocalInput(Date.parse(last.end) + SHIFT_HOURS * HOUR_MS) }])}>Add a shift</button></div>
    </>
  );
}

/** Somebody stands in for a stretch of time, or other people have all of it. It begins with the next hour whenever it is opened. */
export function OverrideDialog({ onClose, schedule }: { onClose: () => void; schedule: Schedule }): ReactElement {
  const { person: me } = useSession();
  const everybody = useQuery("people", people.list, { touches: ["person."] });
  const all = everybody.data?.items ?? [me];
  const nextHour = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS;
  const [kind, setKind] = useState("replace");
  const [person, setPerson] = useState(me.login);
  const [replaces, setReplaces] = useState("");
  const [start, setStart] = useState(toLocalInput(nextHour));
  const [end, setEnd] = useState(toLocalInput(nextHour + SHIFT_HOURS * HOUR_MS));
  const [shifts, setShifts] = useState<Shift[]>([]);
  const [suggested, setSuggested] = useState("");
  const { busy, run } = useAction("override.", "schedule.");
  const backwards = !(Date.parse(end) > Date.parse(start));
  const pick = (next: string): void => {
    setKind(next);
    if (next === "temporary" && shifts.length === 0) setShifts([{ person, start, end }]);
  };
  const suggest = async (): Promise<void> => {
    const found = await run(() => oncall.suggest(schedule.name, iso(start), iso(end)));
    if (!found) return;
    setSuggested(found.reason);
    if (found.person) setPerson(found.person.login);
  };
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (backwards) return;
    const who = kind === "temporary" ? { shifts: shifts.map((shift) => ({ person: shift.person, start: iso(shift.start), end: iso(shift.end) })) } : { person, ...(kind === "replace" && replaces ? { replaces } : {}) };
    const made = await run(() => oncall.override(schedule.name, { kind, ...who, start: iso(start), end: iso(end) }), (answer) => withRests(SAID[kind]?.(person) ?? "Done.", answer));
    if (made) onClose();
  };
  return (
    <Dialog open wide={kind === "temporary"} onClose={onClose} title={`Override for ${schedule.name}`}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="What">
          <select value={kind} onChange={(event) => pick(event.target.value)}>
            <option value="replace">stands in</option>
            <option value="add">is on call too</option>
            <option value="remove">is not on call</option>
            <option value="temporary">a temporary schedule instead</option>
          </select>
        </Field>
        <Field label={`From (${zone})`}><input type="datetime-local" required value={start} onChange={(event) => setStart(event.target.value)} /></Field>
        <Field label={`Until (${zone})`}><input type="datetime-local" required value={end} onChange={(event) => setEnd(event.target.value)} /></Field>
        {kind === "temporary" ? (
          <Shifts shifts={shifts} logins={all.map(({ login }) => login)} onChange={setShifts} />
        ) : (
          <Field label="Who">
            <select value={person} onChange={(event) => setPerson(event.target.value)}>
              {all.map(({ login, name }) => <option key={login} value={login}>{login} ({name})</option>)}
            </select>
          </Field>
        )}
        {kind === "replace" && (
          <Field label="Instead of">
            <select value={replaces} onChange={(event) => setReplaces(event.target.value)}>
              <option value="">everybody who is on call then</option>
              {schedule.people.filter((login) => login !== person).map((login) => <option key={login}>{login}</option>)}
            </select>
          </Field>
        )}
        {(kind === "replace" || kind === "add") && (
          <div className="buttons">
            <button type="button" className="button small" disabled={busy || backwards} onClick={() => void suggest()}>Suggest somebody</button>
            <span className="muted" aria-live="polite">{suggested || "free then, rested, and with the least of late"}</span>
          </div>
        )}
        {backwards && <p className="form-error" role="alert">It would end before it begins.</p>}
        <div><button type="submit" className="button primary" disabled={busy || backwards}>Add the override</button></div>
      </form>
    </Dialog>
  );
}
