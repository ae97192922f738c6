import { useEffect, useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { Flag, FlagEnvironment } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { count } from "../../lib/units";
import { Link } from "../../router/Link";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Switch } from "../../ui/Switch";
import { exposure, reaches } from "./exposure";
import { told } from "./told";

const PRODUCTION = "production";

interface Props {
  flag: Flag;
  environment: string;
  state: FlagEnvironment;
}

/**
 * Off is one press, with or without a reason. On in production is asked once, since it reaches people at once and nothing
 * about a switch says how many.
 */
function SwitchIn({ flag, environment, state }: Props): ReactElement {
  const [asking, setAsking] = useState(false);
  const [reason, setReason] = useState("");
  const { busy, run } = useAction("flag.");
  const flip = async (enabled: boolean): Promise<void> => {
    setAsking(false);
    const done = await run(() => flags.switch(flag.key, environment, enabled, reason), told(`${flag.key} is ${enabled ? "on" : "off"} in ${environment}.`));
    if (done) setReason("");
  };
  const press = (enabled: boolean): void => {
    if (enabled && environment === PRODUCTION) setAsking(true);
    else void flip(enabled);
  };
  const [look, word] = exposure(state);
  return (
    <>
      <div className="buttons">
        <Switch on={state.enabled} busy={busy} label={`${flag.key} in ${environment}`} onChange={press} />
        {word !== "On" && word !== "Off" && <Status look={look}>{word}</Status>}
        <input className="reason" aria-label={`Reason for switching in ${environment}`} placeholder="reason (optional)" maxLength={300} value={reason} onChange={(event) => setReason(event.target.value)} />
      </div>
      <Dialog open={asking} onClose={() => setAsking(false)} title={`Switch ${flag.key} on in production?`}>
        <p>It reaches {reaches(state)} at once. Off again is one press.</p>
        <div className="buttons">
          <ActionButton look="primary" busy={busy} onClick={() => void flip(true)}>Switch on</ActionButton>
          <button type="button" className="button" onClick={() => setAsking(false)}>Leave it off</button>
        </div>
      </Dialog>
    </>
  );
}

const STAGES = [0, 1, 10, 50, 100];

/** The share of people, where a single share is all there is. */
function Rollout({ flag, environment, state }: Props): ReactElement | null {
  const current = state.rollout_percent ?? null;
  const [text, setText] = useState(String(current ?? ""));
  const { busy, run } = useAction("flag.");
  useEffect(() => setText(String(current ?? "")), [current]);
  if (current === null) return state.strategies.length > 0 ? <p className="muted">{count(state.strategies.length)} {state.strategies.length === 1 ? "strategy decides" : "strategies decide"} who gets it.</p> : null;
  const ramping = state.ramp?.state === "running";
  const why = ramping ? "A ramp is running; stop it first." : null;
  const set = (percent: number): void => {
    setText(String(percent));
    void run(() => flags.rollout(flag.key, environment, percent), told(`${flag.key} reaches ${percent} % of ${environment}.`));
  };
  const percent = Number(text);
  const wrong = text.trim() === "" || !(percent >= 0 && percent <= 100) ? "Give a percentage from 0 to 100." : percent === current ? "The flag stands there already." : null;
  return (
    <div className="buttons">
      <div className="chips" role="group" aria-label="Rollout stages">
        {STAGES.map((stage) => (
          <button key={stage} type="button" className="chip" aria-pressed={current === stage && state.enabled} aria-disabled={Boolean(why) || busy || undefined} title={why ?? undefined} onClick={() => !why && !busy && set(stage)}>{stage} %</button>
        ))}
      </div>
      <span className="together">
        <input className="percent" inputMode="decimal" aria-label={`Share in ${environment}, per cent`} value={text} disabled={Boolean(why)} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Enter" && !wrong && set(percent)} />
        <ActionButton small busy={busy} tight why={why ?? wrong} label={`Set the share in ${environment}`} onClick={() => set(percent)}>Set</ActionButton>
      </span>
    </div>
  );
}

/** Every environment beside the others; the one that is looked at stands out. */
export function Environments({ flag, current }: { flag: Flag; current: string }): ReactElement {
  const names = Object.keys(flag.environments).sort((a, b) => (a === PRODUCTION ? -1 : b === PRODUCTION ? 1 : a < b ? -1 : 1));
  return (
    <div className="environments" role="group" aria-label="Environments">
      {names.map((name) => {
        const state = flag.environments[name]!;
        const asked = state.usage.yes + state.usage.no;
        return (
          <section key={name} className={name === current ? "panel pad stack tight current" : "panel pad stack tight"} aria-label={name}>
            <div className="section-head">
              <h2><Link to={`/flags/${encodeURIComponent(flag.key)}?environment=${encodeURIComponent(name)}`} aria-current={name === current ? "true" : undefined}>{name}</Link></h2>
              <span className="end muted">{state.updated_by && `${state.updated_by}, `}<Time at={state.updated_at} /></span>
            </div>
            <SwitchIn flag={flag} environment={name} state={state} />
            <Rollout flag={flag} environment={name} state={state} />
            <p className="muted">{asked > 0 ? `Asked ${count(asked)} times since the server started, ${count(state.usage.yes)} times on.` : "No client has asked since the server started."}</p>
          </section>
        );
      })}
    </div>
  );
}
