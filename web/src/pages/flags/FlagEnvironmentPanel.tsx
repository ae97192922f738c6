import { useEffect, useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { FlagEnvironment } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";
import { Switch } from "../../ui/Switch";
import { exposure } from "./exposure";
import { Ramp } from "./Ramp";

const STAGES = [1, 10, 50, 100];

interface Props {
  flag: string;
  environment: string;
  state: FlagEnvironment;
}

function Rollout({ flag, environment, state }: Props): ReactElement {
  const current = state.rollout_percent ?? 100;
  const [percent, setPercent] = useState(current);
  const { busy, run } = useAction("flag.");
  useEffect(() => setPercent(current), [current]);
  const ramping = state.ramp?.state === "running";
  const complex = typeof state.rollout_percent !== "number" && state.strategies.length > 0;
  const why = ramping ? "A ramp is running; stop it first." : complex ? "Strategies decide here; they are changed in the flag's file." : null;
  const set = (next: number): void => {
    setPercent(next);
    void run(() => flags.rollout(flag, environment, next), `${flag} reaches ${next} % of ${environment}.`);
  };
  return (
    <div className="stack">
      <div className="form-row">
        <Field label="Rollout">
          <input type="range" min={0} max={100} step={1} value={percent} disabled={Boolean(why)} onChange={(event) => setPercent(Number(event.target.value))} />
        </Field>
        <Field label="Percent">
          <input type="number" min={0} max={100} step={1} value={percent} disabled={Boolean(why)} onChange={(event) => setPercent(Math.min(100, Math.max(0, Math.round(Number(event.target.value)))))} />
        </Field>
        <ActionButton busy={busy} tight={!why} why={why ?? (percent === current ? "The flag stands there already." : null)} onClick={() => set(percent)}>Set</ActionButton>
      </div>
      <div className="chips" role="group" aria-label="Rollout stages">
        {STAGES.map((stage) => (
          <button key={stage} type="button" className="chip" aria-pressed={current === stage && state.enabled} disabled={Boolean(why) || busy} onClick={() => set(stage)}>{stage} %</button>
        ))}
      </div>
    </div>
  );
}

/** The switch, the rollout and the ramp of one environment. The switch takes effect at the next evaluation. */
export function FlagEnvironmentPanel({ flag, environment, state }: Props): ReactElement {
  const { busy, run } = useAction("flag.");
  const [look, word] = exposure(state);
  const flip = (enabled: boolean): void => void run(() => flags.switch(flag, environment, enabled), `${flag} is ${enabled ? "on" : "off"} in ${environment}.`);
  return (
    <Section title={`In ${environment}`} end={<span className="muted">{state.updated_by && `${state.updated_by}, `}<Time at={state.updated_at} /></span>}>
      <div className="panel pad stack">
        <div className="buttons">
          <Switch on={state.enabled} busy={busy} label={`${flag} in ${environment}`} onChange={flip} />
          <Status look={look}>{word}</Status>
        </div>
        <Rollout flag={flag} environment={environment} state={state} />
        <Ramp flag={flag} environment={environment} state={state} />
      </div>
    </Section>
  );
}
