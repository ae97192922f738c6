import { useState, type FormEvent, type ReactElement } from "react";
import { oncall, people } from "../../api/endpoints";
import type { EscalationPolicy, PolicyBody, PolicyPreview } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { duration } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { DeleteButton } from "../../ui/DeleteButton";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { emptyPolicy, emptyStep, emptyTarget, formOf, policyOf, type PolicyForm, type StepForm, type TargetForm } from "./policy";

const OFFSETS = [["0", "on call"], ["1", "first behind"], ["2", "second behind"], ["3", "third behind"]] as const;

function Target({ target, label, schedules, logins, teams, onChange, onRemove }: {
  target: TargetForm; label: string; schedules: string[]; logins: string[]; teams: string[]; onChange: (part: Partial<TargetForm>) => void; onRemove?: (() => void) | undefined;
}): ReactElement {
  const offered = [...schedules.map((name) => `schedule:${name}`), ...logins.map((login) => `person:${login}`), ...teams.map((name) => `team:${name}`)];
  const known = target.who === "" || offered.includes(target.who);
  return (
    <div className="buttons" role="group" aria-label={label}>
      <select aria-label={`${label}, who`} value={target.who} onChange={(event) => onChange({ who: event.target.value })}>
        {target.who === "" && <option value="">choose…</option>}
        {!known && <option value={target.who}>{target.who} (gone)</option>}
        <optgroup label="Whoever is on">{schedules.map((name) => <option key={name} value={`schedule:${name}`}>{name}</option>)}</optgroup>
        <optgroup label="A person">{logins.map((login) => <option key={login} value={`person:${login}`}>{login}</option>)}</optgroup>
        {teams.length > 0 && <optgroup label="Everybody in a team">{teams.map((name) => <option key={name} value={`team:${name}`}>{name}</option>)}</optgroup>}
      </select>
      {target.who.startsWith("schedule:") && (
        <select aria-label={`${label}, place`} value={target.offset} onChange={(event) => onChange({ offset: event.target.value })}>
          {!OFFSETS.some(([offset]) => offset === target.offset) && <option value={target.offset}>number {target.offset} behind</option>}
          {OFFSETS.map(([offset, text]) => <option key={offset} value={offset}>{text}</option>)}
        </select>
      )}
      {onRemove && <button type="button" className="button small" aria-label={`Remove ${label}`} onClick={onRemove}>Remove</button>}
    </div>
  );
}

/** What the server says an incident would do now. */
function Played({ preview, deployer }: { preview: PolicyPreview; deployer: string | null }): ReactElement {
  return (
    <div aria-live="polite">
      <h3>If an incident opened now and nobody acknowledged</h3>
      <ol className="ladder">
        {deployer && <li><span className="muted">first</span><span>{deployer}; all that follows comes later by as much</span></li>}
        {preview.steps.map(({ step, round, after_ms, people: paged, shadows }) => (
          <li key={`${round}-${step}`}>
            <span className="muted">{after_ms === 0 ? "at once" : `after ${duration(after_ms)}`}</span>
            {paged.length === 0 ? (
              <span className="form-error">step {step}: nobody, it is passed over</span>
            ) : (
              <span>{paged.map(({ name, login }) => name || login).join(", ")}{shadows.length > 0 && ` (in copy ${shadows.map(({ name, login }) => name || login).join(", ")})`} <span className="muted">step {step}{round > 1 ? `, round ${round}` : ""}</span></span>
            )}
          </li>
        ))}
        <li><span className="muted">after {duration(preview.ends_after_ms)}</span><span>nobody else is asked</span></li>
      </ol>
    </div>
  );
}

/** Makes a policy or changes one; whom it would page is seen before it is saved. */
export function PolicyDialog({ policy, onClose }: { policy: EscalationPolicy | null; onClose: () => void }): ReactElement {
  const everybody = useQuery("people", people.list, { touches: ["person."] });
  const all = useQuery("schedules", oncall.schedules, { touches: ["schedule."] });
  const schedules = (all.data?.items ?? []).map(({ name }) => name);
  const logins = (everybody.data?.items ?? []).map(({ login }) => login);
  const teams = [...new Set((everybody.data?.items ?? []).filter(({ disabled }) => !disabled).flatMap(({ teams: own }) => own ?? []))].sort();
  const first = schedules[0] ? `schedule:${schedules[0]}` : logins[0] ? `person:${logins[0]}` : "";
  const [form, setForm] = useState<PolicyForm>(() => (policy ? formOf(policy) : emptyPolicy(first)));
  const [shown, setShown] = useState<{ preview: PolicyPreview; key: string } | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const { busy, run } = useAction("policy.");
  const change = (part: Partial<PolicyForm>): void => setForm({ ...form, ...part });
  const changeStep = (index: number, part: Partial<StepForm>): void => change({ steps: form.steps.map((step, at) => (at === index ? { ...step, ...part } : step)) });
  const move = (index: number, by: number): void => {
    const steps = [...form.steps];
    const [step] = steps.splice(index, 1);
    steps.splice(index + by, 0, step!);
    change({ steps });
  };
  const read = (): PolicyBody | null => {
    try {
      setWrong(null);
      return policyOf(form);
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
      return null;
    }
  };
  const key = JSON.stringify([form.steps, form.repeat, form.deployer, form.within, form.lead]);
  const seen = shown?.key === key;
  const look = async (): Promise<void> => {
    const body = read();
    const preview = body && (await run(() => oncall.previewPolicy(body)));
    if (preview) setShown({ preview, key });
  };
  const save = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const body = read();
    if (body && seen && (await run(() => oncall.savePolicy(form.name.trim(), body), `${form.name} is saved. Open incidents go on as they began.`))) onClose();
  };
  const remove = async (gone: string): Promise<void> => {
    if (await run(() => oncall.removePolicy(gone), `The policy ${gone} is deleted. What went by it goes by the one of the service, or “default”.`)) onClose();
  };
  return (
    <Dialog open wide onClose={onClose} title={policy ? `Edit ${policy.name}` : "New escalation policy"}>
      <form className="form" onSubmit={(event) => void save(event)}>
        {!policy && <Field label="Name" hint="Where a service names no policy, that of its own name is taken, else “default”."><input required value={form.name} onChange={(event) => change({ name: event.target.value })} /></Field>}
        {form.steps.map((step, index) => (
          <fieldset key={index} className="layer-form">
            <legend>Step {index + 1} of {form.steps.length}</legend>
            {step.targets.map((target, at) => (
              <Target
                key={at} target={target} label={`Target ${at + 1} of step ${index + 1}`} schedules={schedules} logins={logins} teams={teams}
                onChange={(part) => changeStep(index, { targets: step.targets.map((one, i) => (i === at ? { ...one, ...part } : one)) })}
                onRemove={step.targets.length > 1 ? () => changeStep(index, { targets: step.targets.filter((_, i) => i !== at) }) : undefined}
              />
            ))}
            <div className="buttons">
              <button type="button" className="button small" onClick={() => changeStep(index, { targets: [...step.targets, emptyTarget(first)] })}>Add a target</button>
              <label className="inline"><input type="checkbox" disabled={step.targets.length < 2} checked={step.turns} onChange={(event) => changeStep(index, { turns: event.target.checked })} /> one of them, in turn</label>
            </div>
            <Field label="Then wait, minutes"><input required inputMode="decimal" value={step.minutes} onChange={(event) => changeStep(index, { minutes: event.target.value })} /></Field>
            <div className="buttons">
              <button type="button" className="button small" disabled={index === 0} onClick={() => move(index, -1)}>Up</button>
              <button type="button" className="button small" disabled={index === form.steps.length - 1} onClick={() => move(index, 1)}>Down</button>
              <button type="button" className="button small" disabled={form.steps.length === 1} onClick={() => change({ steps: form.steps.filter((_, at) => at !== index) })}>Remove step {index + 1}</button>
            </div>
          </fieldset>
        ))}
        <div><button type="button" className="button" onClick={() => change({ steps: [...form.steps, emptyStep(first)] })}>Add a step</button></div>
        <Field label="Then all of it again, times"><input type="number" min={0} max={10} value={form.repeat} onChange={(event) => change({ repeat: event.target.value })} /></Field>
        <label className="inline"><input type="checkbox" checked={form.deployer} onChange={(event) => change({ deployer: event.target.checked })} /> whoever just deployed the service comes first</label>
        {form.deployer && (
          <div className="columns even">
            <Field label="After a deploy, for minutes"><input required inputMode="decimal" value={form.within} onChange={(event) => change({ within: event.target.value })} /></Field>
            <Field label="Alone for minutes"><input required inputMode="decimal" value={form.lead} onChange={(event) => change({ lead: event.target.value })} /></Field>
          </div>
        )}
        <Field label="Ask again after an acknowledgement, minutes (empty: never)"><input inputMode="decimal" value={form.held} onChange={(event) => change({ held: event.target.value })} /></Field>
        {wrong && <p className="form-error" role="alert">{wrong}</p>}
        {shown && seen && <Played preview={shown.preview} deployer={form.deployer ? `the deployer, for ${form.lead} min, when the service was deployed within ${form.within} min` : null} />}
        <div className="buttons">
          <button type="button" className="button" disabled={busy} onClick={() => void look()}>Preview</button>
          <button type="submit" className="button primary" disabled={busy || !seen} title={seen ? "" : "Preview it first."}>Save</button>
          {!seen && <span className="muted">Preview it before saving.</span>}
          {policy && <span className="right buttons"><DeleteButton what={`the policy ${policy.name}`} busy={busy} onDelete={() => void remove(policy.name)} /></span>}
        </div>
      </form>
    </Dialog>
  );
}
