import type { ReactElement } from "react";
import type { GuardComparison } from "../../api/types";
import { duration, MINUTE_MS } from "../../lib/time";
import { Field } from "../../ui/Field";
import type { GuardForm } from "./guardForm";

const FORS = [0, 10_000, 30_000, MINUTE_MS, 5 * MINUTE_MS];
const OPS: GuardComparison[] = ["<", "<=", ">", ">="];

interface Props {
  form: GuardForm;
  onChange: (next: GuardForm) => void;
}

function Threshold({ form, onChange }: Props): ReactElement {
  return (
    <>
      <Field label="Expression (PromQL)" hint="Every series it answers with has to meet the condition. No data is never good: the step waits.">
        <textarea rows={3} value={form.expr} spellCheck={false} onChange={(event) => onChange({ ...form, expr: event.target.value })} />
      </Field>
      <div className="form-row">
        <Field label="Has to be">
          <select value={form.op} onChange={(event) => onChange({ ...form, op: event.target.value as GuardComparison })}>{OPS.map((op) => <option key={op}>{op}</option>)}</select>
        </Field>
        <Field label="Value"><input inputMode="decimal" size={8} value={form.value} onChange={(event) => onChange({ ...form, value: event.target.value })} /></Field>
        <Field label="Acts when it fails">
          <select value={form.for_ms} onChange={(event) => onChange({ ...form, for_ms: Number(event.target.value) })}>
            {FORS.map((ms) => <option key={ms} value={ms}>{ms === 0 ? "at once" : `for ${duration(ms)}`}</option>)}
          </select>
        </Field>
        <OnFail form={form} onChange={onChange} />
      </div>
    </>
  );
}

const COUNTERS = [
  ["newBad", "Failed, with the flag"],
  ["newTotal", "All, with the flag"],
  ["oldBad", "Failed, without it"],
  ["oldTotal", "All, without it"],
] as const;

function Judged({ form, onChange }: Props): ReactElement {
  return (
    <>
      <p className="muted">Counters with their labels, without rate() or sum(), as in http_requests_total{"{uploader=\"new\", code=~\"5..\"}"}. Both sides are compared at the same moment, so what hits both trips nothing.</p>
      {COUNTERS.map(([name, label]) => (
        <Field key={name} label={label}><input value={form[name]} spellCheck={false} onChange={(event) => onChange({ ...form, [name]: event.target.value })} /></Field>
      ))}
      <div className="form-row">
        <Field label="Times as often is tolerated"><input inputMode="decimal" size={6} value={form.tolerate} onChange={(event) => onChange({ ...form, tolerate: event.target.value })} /></Field>
        <Field label="Negligible, % of requests" hint="Without it a flag beside which nothing fails is never called good."><input inputMode="decimal" size={6} value={form.negligible} onChange={(event) => onChange({ ...form, negligible: event.target.value })} /></Field>
        <OnFail form={form} onChange={onChange} />
      </div>
    </>
  );
}

function OnFail({ form, onChange }: Props): ReactElement {
  return (
    <Field label="And then">
      <select value={form.on_fail} onChange={(event) => onChange({ ...form, on_fail: event.target.value as GuardForm["on_fail"] })}>
        <option value="off">switches the flag off</option>
        <option value="step_back">goes a step back</option>
      </select>
    </Field>
  );
}

/** Whether a guard watches a ramp, and by what. */
export function GuardFields({ form, onChange }: Props): ReactElement {
  return (
    <div className="stack tight">
      <Field label="A guard watches it">
        <select value={form.by} onChange={(event) => onChange({ ...form, by: event.target.value as GuardForm["by"] })}>
          <option value="none">no</option>
          <option value="threshold">by a threshold on the metrics</option>
          <option value="judge">by the judge, beside the others</option>
        </select>
      </Field>
      {form.by === "threshold" && <Threshold form={form} onChange={onChange} />}
      {form.by === "judge" && <Judged form={form} onChange={onChange} />}
    </div>
  );
}
