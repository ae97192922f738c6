import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { RampStartBody } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { duration, HOUR_MS, MINUTE_MS } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Field } from "../../ui/Field";
import { asked } from "./Guard";
import { GuardFields } from "./GuardFields";
import { guardOf, NO_GUARD, type GuardForm } from "./guardForm";
import { told } from "./told";
import { readSteps } from "./rampSteps";

const OWN = "";
const HOLDS = [MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 24 * HOUR_MS];

/** Starts a ramp: by a shared plan, or by steps of its own; a guard here stands in for the plan's. */
export function RampStart({ flag, environment }: { flag: string; environment: string }): ReactElement {
  const plans = useQuery("ramp-plans", flags.plans, { touches: ["ramp_plan."] }).data?.items ?? [];
  const [plan, setPlan] = useState(OWN);
  const [text, setText] = useState("1, 5, 25, 100");
  const [hold, setHold] = useState(10 * MINUTE_MS);
  const [guard, setGuard] = useState<GuardForm>(NO_GUARD);
  const { busy, run } = useAction("flag.");
  const steps = plan === OWN ? readSteps(text, hold) : [];
  const shared = plans.find(({ name }) => name === plan);
  const wanted = guardOf(guard);
  const why = typeof steps === "string" ? steps : typeof wanted === "string" ? wanted : null;
  const start = (): void => {
    if (typeof steps === "string" || typeof wanted === "string") return;
    const body: RampStartBody = { environment };
    if (plan === OWN) body.steps = steps;
    else body.plan = plan;
    if (wanted) body.guard = wanted;
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
          {shared.guard && `; guarded: ${asked(shared.guard)}`}
        </p>
      )}
      <GuardFields form={guard} onChange={setGuard} />
      <ActionButton busy={busy} why={why} onClick={start}>Start the ramp</ActionButton>
    </div>
  );
}
