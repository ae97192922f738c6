import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { GuardComparison, RampStartBody } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { duration, HOUR_MS, MINUTE_MS } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Field } from "../../ui/Field";
import { told } from "./told";
import { readSteps } from "./rampSteps";

const OWN = "";
const HOLDS = [MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 24 * HOUR_MS];
const FORS = [0, 10_000, 30_000, MINUTE_MS, 5 * MINUTE_MS];
const OPS: GuardComparison[] = ["<", "<=", ">", ">="];

interface GuardForm {
  on: boolean;
  expr: string;
  op: GuardComparison;
  value: string;
  for_ms: number;
  on_fail: "off" | "step_back";
}

function GuardFields({ form, onChange }: { form: GuardForm; onChange: (next: GuardForm) => void }): ReactElement {
  return (
    <>
      <label className="inline">
        <input type="checkbox" checked={form.on} onChange={(event) => onChange({ ...form, on: event.target.checked })} />
        A guard watches it: a condition on the metrics has to hold
      </label>
      {form.on && (
        <div className="stack tight">
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
            <Field label="And then">
              <select value={form.on_fail} onChange={(event) => onChange({ ...form, on_fail: event.target.value as GuardForm["on_fail"] })}>
                <option value="off">switches the flag off</option>
                <option value="step_back">goes a step back</option>
              </select>
            </Field>
          </div>
        </div>
      )}
    </>
  );
}

/** Starts a ramp: by a shared plan, or by steps of its own; a guard here stands in for the plan's. */
export function RampStart({ flag, environment }: { flag: string; environment: string }): ReactElement {
  const plans = useQuery("ramp-plans", flags.plans, { touches: ["ramp_plan."] }).data?.items ?? [];
  const [plan, setPlan] = useState(OWN);
  const [text, setText] = useState("1, 5, 25, 100");
  const [hold, setHold] = useState(10 * MINUTE_MS);
  const [guard, setGuard] = useState<GuardForm>({ on: false, expr: "", op: "<", value: "", for_ms: 30_000, on_fail: "off" });
  const { busy, run } = useAction("flag.");
  const steps = plan === OWN ? readSteps(text, hold) : [];
  const shared = plans.find(({ name }) => name === plan);
  const value = Number(guard.value);
  const why = typeof steps === "string"
    ? steps
    : guard.on && !guard.expr.trim() ? "The guard lacks its expression."
    : guard.on && (guard.value.trim() === "" || Number.isNaN(value)) ? "The guard lacks the number to compare with."
    : null;
  const start = (): void => {
    if (typeof steps === "string") return;
    const body: RampStartBody = { environment };
    if (plan === OWN) body.steps = steps;
    else body.plan = plan;
    if (guard.on) body.guard = { expr: guard.expr, condition: { threshold: { op: guard.op, value } }, for_ms: guard.for_ms, on_fail: guard.on_fail };
    void run(() => flags.ramp(flag, body), told(`${flag} ramps up in ${environment}.`));
  };
  return (
    <div className="stack tight">
      <div className="form-row">
        {plans.length > 0 && (
          <Field label="Plan">
            <select value={plan} onChange={(event) => setPlan(event.target.value)}>
              <option value={OWN}>steps of its own</option>
              {plans.map(({ name }) => <option key={name}>{name}</option>)}
            </select>
          </Field>
        )}
        {plan === OWN && (
          <>
            <Field label="Percent, step by step"><input value={text} onChange={(event) => setText(event.target.value)} /></Field>
            <Field label="Each is held">
              <select value={hold} onChange={(event) => setHold(Number(event.target.value))}>{HOLDS.map((ms) => <option key={ms} value={ms}>{duration(ms)}</option>)}</select>
            </Field>
          </>
        )}
      </div>
      {shared && (
        <p className="muted">
          {shared.description && `${shared.description} `}
          {shared.steps.map((step) => `${step.percent} %${step.hold_ms ? ` for ${duration(step.hold_ms)}` : ""}`).join(", ")}
          {shared.guard && `; guarded by ${shared.guard.expr.trim()}`}
        </p>
      )}
      <GuardFields form={guard} onChange={setGuard} />
      <ActionButton busy={busy} why={why} onClick={start}>Start the ramp</ActionButton>
    </div>
  );
}
