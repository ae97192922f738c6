import { useState, type FormEvent, type ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import type { Plan, Schedule, SchedulePreview } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { DeleteButton } from "../../ui/DeleteButton";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { LayerBars } from "./LayerChart";
import { emptyLayer, formOf, newPlan, planOf, type LayerForm, type PlanForm, type ShadowForm } from "./plan";

/** A gap that comes once in some weeks, as at a holiday, is seen before the plan is saved. */
const PREVIEW_DAYS = [28, 90, 180, 366];
const PREVIEW_DAYS_AT_FIRST = 90;

function Shadows({ shadows, onChange }: { shadows: ShadowForm[]; onChange: (shadows: ShadowForm[]) => void }): ReactElement {
  const change = (index: number, part: Partial<ShadowForm>): void => onChange(shadows.map((shadow, at) => (at === index ? { ...shadow, ...part } : shadow)));
  return (
    <>
      {shadows.map((shadow, index) => (
        <fieldset key={index} className="layer-form">
          <legend>Shadow {index + 1}: learns, and gets a copy of each page</legend>
          <div className="columns even">
            <Field label="Who"><input required value={shadow.person} onChange={(event) => change(index, { person: event.target.value })} /></Field>
            <Field label="From" hint="Empty is always."><input type="datetime-local" value={shadow.start} onChange={(event) => change(index, { start: event.target.value })} /></Field>
            <Field label="Until"><input type="datetime-local" value={shadow.end} onChange={(event) => change(index, { end: event.target.value })} /></Field>
          </div>
          <div><button type="button" className="button small" onClick={() => onChange(shadows.filter((_, at) => at !== index))}>Remove shadow {index + 1}</button></div>
        </fieldset>
      ))}
      <div><button type="button" className="button" onClick={() => onChange([...shadows, { person: "", start: "", end: "" }])}>Add a shadow</button></div>
    </>
  );
}

/** Edits a schedule's plan; what would come of it is seen before it is saved. Without a schedule it makes one. */
export function PlanDialog({ onClose, schedule, people = [] }: { onClose: () => void; schedule: Schedule | null; people?: string[] }): ReactElement {
  const [form, setForm] = useState<PlanForm>(() => (schedule ? formOf(schedule.plan) : newPlan(people, Date.now())));
  const [newName, setNewName] = useState("");
  const name = schedule?.name ?? newName.trim();
  const members = schedule?.people ?? people;
  const [from, setFrom] = useState("");
  const [days, setDays] = useState(PREVIEW_DAYS_AT_FIRST);
  const [shown, setShown] = useState<{ preview: SchedulePreview; plan: string } | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const { busy, run } = useAction("schedule.");
  const change = (part: Partial<PlanForm>): void => setForm({ ...form, ...part });
  const changeLayer = (index: number, part: Partial<LayerForm>): void => change({ layers: form.layers.map((layer, at) => (at === index ? { ...layer, ...part } : layer)) });
  const move = (index: number, by: number): void => {
    const layers = [...form.layers];
    const [layer] = layers.splice(index, 1);
    layers.splice(index + by, 0, layer!);
    change({ layers });
  };
  const read = (): Plan | null => {
    try {
      setWrong(null);
      return planOf(form);
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
      return null;
    }
  };
  const key = JSON.stringify([form, from, schedule ? "" : newName]);
  const begins = from ? new Date(from).toISOString() : undefined;
  const look = async (): Promise<void> => {
    const plan = read();
    if (!plan) return;
    const preview = await run(() => oncall.previewDraft(name, plan, begins ? { from: begins, days } : { days }));
    if (preview) setShown({ preview, plan: key });
  };
  const save = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const plan = read();
    if (plan && (await run(() => oncall.save(name, plan, begins), schedule ? `${name} has a new version.` : `${name} is made. A policy pages whoever is on it.`))) onClose();
  };
  const remove = async (gone: string): Promise<void> => {
    if (await run(() => oncall.remove(gone), `The schedule ${gone} is deleted.`)) onClose();
  };
  const seen = shown?.plan === key;
  return (
    <Dialog open wide onClose={onClose} title={schedule ? `Edit ${schedule.name}` : "New schedule"}>
      <form className="form" onSubmit={(event) => void save(event)}>
        {!schedule && <Field label="Name" hint="Like photos-primary."><input required value={newName} onChange={(event) => setNewName(event.target.value)} /></Field>}
        <Field label="Time zone" hint="Of layers that name none, like Europe/Berlin."><input required value={form.timezone} onChange={(event) => change({ timezone: event.target.value })} /></Field>
        {form.layers.map((layer, index) => (
          <fieldset key={index} className="layer-form">
            <legend>Layer {index + 1} of {form.layers.length}{index > 0 ? ", covers those above" : ""}</legend>
            <div className="columns even">
              <Field label="Name"><input required value={layer.name} onChange={(event) => changeLayer(index, { name: event.target.value })} /></Field>
              <Field label="People, in their order"><input required value={layer.people} onChange={(event) => changeLayer(index, { people: event.target.value })} /></Field>
              <Field label="First handoff" hint="Clock time in the layer's zone."><input type="datetime-local" required value={layer.start} onChange={(event) => changeLayer(index, { start: event.target.value })} /></Field>
              <Field label="Shift length" hint="12h, 1d, 1w or 1mo"><input required value={layer.length} onChange={(event) => changeLayer(index, { length: event.target.value })} /></Field>
              <Field label="Its own zone"><input value={layer.timezone} placeholder={form.timezone} onChange={(event) => changeLayer(index, { timezone: event.target.value })} /></Field>
              <Field label="Only at" hint="One window a line: mon tue 09:00-17:00. Empty is always."><textarea rows={2} value={layer.restrictions} onChange={(event) => changeLayer(index, { restrictions: event.target.value })} /></Field>
            </div>
            <div className="buttons">
              <button type="button" className="button small" disabled={index === 0} onClick={() => move(index, -1)}>Up</button>
              <button type="button" className="button small" disabled={index === form.layers.length - 1} onClick={() => move(index, 1)}>Down</button>
              <button type="button" className="button small" disabled={form.layers.length === 1 && !form.calendarUrl.trim()} onClick={() => change({ layers: form.layers.filter((_, at) => at !== index) })}>Remove layer {index + 1}</button>
            </div>
          </fieldset>
        ))}
        <div><button type="button" className="button" onClick={() => change({ layers: [...form.layers, emptyLayer(members)] })}>Add a layer</button></div>
        <fieldset className="layer-form">
          <legend>Calendar that is followed: whoever has a shift in it covers the layers</legend>
          <div className="columns even">
            <Field label="Address of the calendar" hint="In iCalendar, http or https. Once saved only its host is shown; leave that to keep the address, empty it to follow none."><input type="text" inputMode="url" autoComplete="off" spellCheck={false} value={form.calendarUrl} onChange={(event) => change({ calendarUrl: event.target.value })} /></Field>
            <Field label="Read every, minutes" hint="5 to 1,440; empty is 10."><input type="number" min={5} max={1440} value={form.calendarMinutes} disabled={!form.calendarUrl.trim()} title={form.calendarUrl.trim() ? "" : "No calendar is followed."} onChange={(event) => change({ calendarMinutes: event.target.value })} /></Field>
          </div>
        </fieldset>
        <div className="columns even">
          <Field label="When nobody is on call" hint="These people are, all of them."><input value={form.fallback} onChange={(event) => change({ fallback: event.target.value })} /></Field>
          <Field label="Least rest between shifts, hours" hint="Less is warned of."><input type="number" min={1} max={168} value={form.minRest} onChange={(event) => change({ minRest: event.target.value })} /></Field>
          <Field label="A change that leaves less" hint="One that begins at once is never refused.">
            <select value={form.enforceRest ? "refused" : "warned"} onChange={(event) => change({ enforceRest: event.target.value === "refused" })}><option value="warned">is warned of</option><option value="refused">is refused</option></select>
          </Field>
          <Field label="Holidays" hint="Dates like 2026-12-25."><input value={form.holidays} onChange={(event) => change({ holidays: event.target.value })} /></Field>
          <Field label="At each handover" hint="By a way that does not ring.">
            <select value={form.handoffDigest ? "told" : "quiet"} onChange={(event) => change({ handoffDigest: event.target.value === "told" })}><option value="told">whoever comes on is told of the shift before</option><option value="quiet">nobody is told</option></select>
          </Field>
          <Field label="And this account" hint="A room's, such as photos-room. Empty is none."><input value={form.handoffChannel} disabled={!form.handoffDigest} title={form.handoffDigest ? "" : "Nobody is told at a handover."} onChange={(event) => change({ handoffChannel: event.target.value })} /></Field>
          <Field label="Holds from" hint="Empty is now. What was before does not change."><input type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} /></Field>
        </div>
        <Shadows shadows={form.shadows} onChange={(shadows) => change({ shadows })} />
        {wrong && <p className="form-error" role="alert">{wrong}</p>}
        {shown && seen && <LayerBars preview={shown.preview} />}
        <div className="buttons">
          <button type="button" className="button" disabled={busy} onClick={() => void look()}>Preview {days} days</button>
          <label>Over <select aria-label="Days of the preview" value={days} onChange={(event) => setDays(Number(event.target.value))}>{PREVIEW_DAYS.map((n) => <option key={n} value={n}>{n} days</option>)}</select></label>
          <button type="submit" className="button primary" disabled={busy || !seen} title={seen ? "" : "Preview it first."}>Save</button>
          {!seen && <span className="muted">Preview it before saving.</span>}
          {schedule && <span className="right buttons"><DeleteButton what={`the schedule ${schedule.name}`} busy={busy} onDelete={() => void remove(schedule.name)} /></span>}
        </div>
      </form>
    </Dialog>
  );
}
