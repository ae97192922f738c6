import type { ReactElement } from "react";
import { flags, type RampMove } from "../../api/endpoints";
import type { FlagEnvironment, Ramp as RampShape } from "../../api/types";
import { duration, HOUR_MS } from "../../lib/time";
import type { Look } from "../../lib/status";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Evidence, Guard } from "./Guard";
import { RampStart } from "./RampStart";
import { told } from "./told";

interface Props {
  flag: string;
  environment: string;
  state: FlagEnvironment;
}

const STATES: Record<RampShape["state"], [Look, string]> = {
  running: ["busy", "Ramping"],
  paused: ["warning", "Paused"],
  done: ["ok", "Done"],
  stopped: ["quiet", "Stopped"],
  tripped: ["critical", "Ended by its guard"],
};

function Steps({ ramp }: { ramp: RampShape }): ReactElement {
  return (
    <ol className="chips" aria-label="Steps of the ramp">
      {ramp.steps.map((step, index) => (
        <li key={`${index}-${step.percent}`} className={index < ramp.position ? "chip past" : "chip"} aria-current={index === ramp.position ? "step" : undefined}>
          {step.percent} %{(step.hold_ms ?? 0) > 0 && <span className="muted"> {duration(step.hold_ms ?? 0)}</span>}
        </li>
      ))}
    </ol>
  );
}

function Live({ flag, environment, ramp }: { flag: string; environment: string; ramp: RampShape }): ReactElement {
  const { busy, run } = useAction("flag.");
  const [look, word] = STATES[ramp.state];
  const steer = (how: RampMove, done: string, by_ms?: number): void =>
    void run(() => flags.moveRamp(flag, environment, how, by_ms), told(done));
  const guard = ramp.steps[ramp.position]?.guard ?? ramp.guard;
  const next = ramp.steps[ramp.position + 1];
  return (
    <div className="stack">
      <div className="buttons">
        <Status look={look}>{word}</Status>
        {ramp.plan && <span className="muted">by the plan {ramp.plan}</span>}
        {ramp.started_by && <span className="muted">started by {ramp.started_by}</span>}
      </div>
      <Steps ramp={ramp} />
      <span className="muted">
        {ramp.next_at
          ? <>{next ? `${next.percent} %` : "The end"} <Time at={ramp.next_at} />{guard && ", if its guard holds"}</>
          : typeof ramp.remaining_ms === "number" && `${duration(ramp.remaining_ms)} of this step are left`}
      </span>
      {guard && <Guard guard={guard} watch={ramp.watch ?? { good: 0 }} />}
      {ramp.evidence && <Evidence evidence={ramp.evidence} />}
      <div className="buttons">
        {ramp.state === "running"
          ? <ActionButton busy={busy} onClick={() => steer("pause", "The ramp is paused; its guard goes on watching.")}>Pause</ActionButton>
          : <ActionButton busy={busy} look="primary" onClick={() => steer("resume", "The ramp goes on.")}>Resume</ActionButton>}
        <ActionButton busy={busy} onClick={() => steer("skip", "The next step is taken.")}>{next ? `To ${next.percent} % now` : "Finish now"}</ActionButton>
        <ActionButton busy={busy} tight why={ramp.position === 0 ? "This is the first step; switch the flag off to go further back." : null} onClick={() => steer("back", "A step back, and paused there.")}>Step back</ActionButton>
        <ActionButton busy={busy} onClick={() => steer("extend", "The step is held an hour longer.", HOUR_MS)}>Hold 1 h longer</ActionButton>
        <ActionButton busy={busy} look="danger" onClick={() => steer("stop", "The ramp is stopped; the flag stays where it is.")}>Stop the ramp</ActionButton>
      </div>
    </div>
  );
}

/** The ramp of one environment: how far it is and what its guard sees, or the form that starts one. */
export function Ramp({ flag, environment, state }: Props): ReactElement {
  const ramp = state.ramp;
  if (ramp?.state === "running" || ramp?.state === "paused") return <Live flag={flag} environment={environment} ramp={ramp} />;
  return (
    <div className="stack">
      {ramp && (
        <>
          <div className="buttons"><Status look={STATES[ramp.state][0]}>The last ramp: {STATES[ramp.state][1].toLowerCase()}</Status></div>
          <Steps ramp={ramp} />
          {ramp.state === "tripped" && ramp.evidence && <Evidence evidence={ramp.evidence} />}
        </>
      )}
      <RampStart flag={flag} environment={environment} />
    </div>
  );
}
