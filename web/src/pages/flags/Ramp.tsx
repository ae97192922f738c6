import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { FlagEnvironment } from "../../api/types";
import { duration, MINUTE_MS } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";

const STAGES = [1, 10, 50, 100];
const HOLDS = [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, 60 * MINUTE_MS];

interface Props {
  flag: string;
  environment: string;
  state: FlagEnvironment;
}

/** 1, 10, 50, 100 percent by itself, holding at each stage. */
export function Ramp({ flag, environment, state }: Props): ReactElement {
  const [hold, setHold] = useState(5 * MINUTE_MS);
  const { busy, run } = useAction("flag.");
  const ramp = state.ramp;
  if (ramp?.state === "running") {
    return (
      <div className="buttons">
        <Status look="busy">Ramp</Status>
        <ol className="chips" aria-label="Stages of the ramp">
          {ramp.steps.map((step, index) => (
            <li key={`${index}-${step.percent}`} className="chip" aria-current={index === ramp.position ? "step" : undefined}>{step.percent} %</li>
          ))}
        </ol>
        {ramp.next_at && <span className="muted">next stage <Time at={ramp.next_at} /></span>}
        <ActionButton small look="danger" busy={busy} onClick={() => void run(() => flags.stopRamp(flag, environment), "The ramp is stopped; the flag stays where it is.")}>Stop the ramp</ActionButton>
      </div>
    );
  }
  const start = (): void =>
    void run(() => flags.ramp(flag, environment, STAGES.map((percent) => ({ percent, hold_ms: hold }))), `${flag} ramps up in ${environment}.`);
  return (
    <div className="form-row">
      <Field label="Ramp 1, 10, 50, 100 %, holding">
        <select value={hold} onChange={(event) => setHold(Number(event.target.value))}>
          {HOLDS.map((ms) => <option key={ms} value={ms}>{duration(ms)} each</option>)}
        </select>
      </Field>
      <ActionButton busy={busy} onClick={start}>Start the ramp</ActionButton>
      {ramp && <span className="muted">The last ramp is {ramp.state}.</span>}
    </div>
  );
}
