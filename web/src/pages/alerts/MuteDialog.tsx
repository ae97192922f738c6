import { useEffect, useState, type FormEvent, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import { ApiError } from "../../api/http";
import type { Mute, MutePreview } from "../../api/types";
import { DAY_MS, HOUR_MS, sameDay, stamp, zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { bodyOf, DAYS, emptyForm, formOf, timesOf, timesText, withKind, type Kind, type MuteForm } from "./mutes";

const TYPING_MS = 300;
const SHOWN = 6;
const LENGTHS = [[HOUR_MS / 2, "30 min"], [HOUR_MS, "1 h"], [4 * HOUR_MS, "4 h"], [DAY_MS, "24 h"], [7 * DAY_MS, "7 days"]] as const;

type Seen = { preview: MutePreview } | { wrong: string } | null;

/** Asks the server what the form would do, a moment after the last keystroke. */
function usePreview(form: MuteForm): Seen {
  const [seen, setSeen] = useState<Seen>(null);
  const key = JSON.stringify(form);
  useEffect(() => {
    let gone = false;
    const timer = window.setTimeout(() => {
      const ask = async (): Promise<Seen> => {
        try {
          const body = bodyOf(JSON.parse(key) as MuteForm, Date.now());
          return { preview: await alerts.previewMute({ ...body, reason: body.reason || "preview" }) };
        } catch (error) {
          return { wrong: error instanceof ApiError || error instanceof Error ? error.message : String(error) };
        }
      };
      void ask().then((next) => !gone && setSeen(next));
    }, TYPING_MS);
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [key]);
  return seen;
}

function Preview({ seen, form }: { seen: Seen; form: MuteForm }): ReactElement {
  if (!seen) return <p className="muted" aria-busy="true">Looking…</p>;
  if ("wrong" in seen) return <p className="form-error" role={form.matchers ? "alert" : undefined}>{form.matchers ? seen.wrong : "Say which alerts, by matchers."}</p>;
  const { turns, turns_more, alerts: covered, alerts_more } = seen.preview;
  const now = Date.now();
  const more = turns_more + Math.max(0, turns.length - SHOWN);
  return (
    <div className="mute-preview" aria-live="polite">
      <div>
        <h3>Holds</h3>
        {turns.length === 0 && <p>Never: none of its times falls between its start and its end.</p>}
        <ol>{turns.slice(0, SHOWN).map(({ from, to }) => <li key={from}>{stamp(from, now)} – {sameDay(from, to) ? stamp(to, Date.parse(to)) : stamp(to, now)}</li>)}</ol>
        {more > 0 && <p className="muted">and {more} more</p>}
      </div>
      <div>
        <h3>Covers now</h3>
        {covered.length === 0 && <p className="muted">no alert that is active</p>}
        <ul>{covered.slice(0, SHOWN).map((alert) => <li key={alert.fingerprint}><Link className="inline-link" to={`/alerts/${alert.fingerprint}`}>{alert.rule}</Link> <span className="muted">{alert.state}</span></li>)}</ul>
        {covered.length + alerts_more > SHOWN && <p className="muted">and {covered.length + alerts_more - SHOWN} more</p>}
      </div>
    </div>
  );
}

function Times({ recurs, onChange }: { recurs: string; onChange: (recurs: string) => void }): ReactElement {
  const [written, setWritten] = useState({ days: ["sun"], from: "02:00", to: "04:00" });
  // What the text says is what the boxes show: a change of one of them must not change the others. An hour that is being typed
  // is in no text yet.
  const said = timesOf(recurs);
  const { days, from, to } = said && written.from && written.to ? said : written;
  const more = !said && recurs.trim() !== "";
  const write = (part: { days?: string[]; from?: string; to?: string }): void => {
    const next = { days, from, to, ...part };
    setWritten(next);
    if (next.from && next.to) onChange(timesText(next.days, next.from, next.to, said?.zone));
  };
  return (
    <fieldset className="layer-form">
      <legend>Comes back</legend>
      {more && <p className="muted">It says more than days and hours: change the text.</p>}
      <div className="buttons" role="group" aria-label="Days">
        {DAYS.map((day) => (
          <label key={day} className="inline">
            <input type="checkbox" disabled={more} checked={!more && days.includes(day)} onChange={(event) => write({ days: event.target.checked ? [...days, day] : days.filter((one) => one !== day) })} />
            {day}
          </label>
        ))}
      </div>
      <div className="columns even">
        <Field label="From"><input type="time" disabled={more} value={from} onChange={(event) => write({ from: event.target.value })} /></Field>
        <Field label="To" hint="Before it begins: on the next day."><input type="time" disabled={more} value={to} onChange={(event) => write({ to: event.target.value })} /></Field>
      </div>
      <Field label="As text" hint="Also day:1, day:-1, month:1..3; several with ; between them."><input required spellCheck={false} className="mono" value={recurs} onChange={(event) => onChange(event.target.value)} /></Field>
    </fieldset>
  );
}

/** Makes a mute, or changes one; when it holds and what it covers is seen before it is saved. */
export function MuteDialog({ mute, matchers, onClose }: { mute?: Mute | undefined; matchers: string; onClose: () => void }): ReactElement {
  const [form, setForm] = useState<MuteForm>(() => (mute ? formOf(mute, Date.now()) : emptyForm(matchers, Date.now())));
  const [problem, setProblem] = useState("");
  const { busy, run } = useAction("mute.", "alert.");
  const seen = usePreview(form);
  const change = (part: Partial<MuteForm>): void => setForm({ ...form, ...part });
  const save = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    try {
      const body = bodyOf(form, Date.now());
      setProblem("");
      const made = mute
        ? await run(() => alerts.changeMute(mute.id, body), ({ id }) => (id === mute.id ? `Mute ${id} is changed.` : `Mute ${id} stands for mute ${mute.id} now.`))
        : await run(() => alerts.mute(body), "Muted. The alerts still show here; nobody is paged.");
      if (made) onClose();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Dialog open wide onClose={onClose} title={mute ? `Edit mute ${mute.id}` : "New mute"}>
      <form className="form" onSubmit={(event) => void save(event)}>
        <Field label="Kind">
          <select value={form.kind} onChange={(event) => setForm(withKind(form, event.target.value as Kind, Date.now()))}>
            <option value="silence">Silence: an answer to noise</option>
            <option value="downtime">Downtime: planned, once</option>
            <option value="maintenance">Maintenance: comes back</option>
          </select>
        </Field>
        <Field label="Matchers" hint="All of them must hold for an alert's labels."><input required spellCheck={false} className="mono" placeholder='service="photos"' value={form.matchers} onChange={(event) => change({ matchers: event.target.value })} /></Field>
        <Field label="Reason"><input required maxLength={200} value={form.reason} onChange={(event) => change({ reason: event.target.value })} /></Field>
        {form.kind === "maintenance" && <Times recurs={form.recurs} onChange={(recurs) => change({ recurs })} />}
        <div className="columns even">
          <Field label={`Starts (${zone})`} hint="Empty is now."><input type="datetime-local" value={form.start} onChange={(event) => change({ start: event.target.value })} /></Field>
          <Field label="Ends">
            <select value={form.length} onChange={(event) => change({ length: event.target.value })}>
              {LENGTHS.map(([ms, text]) => <option key={ms} value={ms}>after {text}</option>)}
              <option value="">at…</option>
            </select>
          </Field>
          {form.length === "" && <Field label={`End (${zone})`}><input type="datetime-local" required value={form.end} onChange={(event) => change({ end: event.target.value })} /></Field>}
        </div>
        <Preview seen={seen} form={form} />
        {problem && <p className="form-error" role="alert">{problem}</p>}
        <div className="buttons"><button type="submit" className="button primary" disabled={busy}>{mute ? "Save" : "Mute"}</button></div>
      </form>
    </Dialog>
  );
}
