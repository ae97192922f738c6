import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import { flagLife } from "../../api/flagLife";
import type { Flag, FlagEnvironment } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { duration } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import { ActionButton } from "../../ui/Action";
import { Empty, Status, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame } from "../../ui/Section";
import { ContingencyForm } from "./ContingencyForm";
import { FlagNav } from "./FlagNav";

const DRILL_S = 60;

function State({ state }: { state: FlagEnvironment | undefined }): ReactElement {
  const now = useNow(1_000);
  if (!state?.updated_at) return <Status look="quiet">not configured</Status>;
  if (state.drill) {
    const left = Math.max(0, Date.parse(state.drill.ends_at) - now);
    return <Status look="warning">DRILL, back in {duration(Math.ceil(left / 1000) * 1000)}</Status>;
  }
  return state.enabled ? <Status look="ok">on</Status> : <Status look="critical">off</Status>;
}

function Tested({ flag }: { flag: Flag }): ReactElement {
  const last = flag.drilled;
  if (!last) return <Status look="warning">never tested</Status>;
  const figures = typeof last.still_on === "number"
    ? last.still_on === 0 ? "no answer was on any more" : `${last.still_on} answers still on, the last after ${duration(last.last_use_ms ?? 0)}`
    : "answers were not counted";
  return <span>Tested <Time at={last.at} /> in {last.environment} by {last.by}: off for {duration(last.off_ms)}, {figures}.</span>;
}

function Card({ flag, environment }: { flag: Flag; environment: string }): ReactElement {
  const { busy, run } = useAction("flag.");
  const [editing, setEditing] = useState(false);
  const state = flag.environments[environment];
  const others = Object.keys(flag.environments).filter((name) => name !== environment).sort();
  const off = (): void => void run(() => flags.switch(flag.key, environment, false), `${flag.key} is off in ${environment}.`);
  const on = (): void => void run(() => flags.switch(flag.key, environment, true), `${flag.key} is on in ${environment}.`);
  const drill = (): void => void run(() => flagLife.drill(flag.key, environment, DRILL_S * 1000), `Drill: ${flag.key} is off in ${environment} for ${DRILL_S} s.`);
  const cancel = (): void => void run(() => flagLife.cancelDrill(flag.key, environment), `${flag.key} is on again in ${environment}.`);
  return (
    <li className="panel pad stack">
      <div className="section-head">
        <h2>{flag.contingency ? `${flag.contingency.rank}. ` : ""}<Link to={`/flags/${encodeURIComponent(flag.key)}`}>{flag.key}</Link></h2>
        <div className="end"><State state={state} /></div>
      </div>
      {flag.description && <p>{flag.description}</p>}
      <dl className="facts">
        <dt>People notice</dt><dd>{flag.contingency?.impact || <span className="muted">nobody wrote it down</span>}</dd>
        <dt>Goes on</dt><dd>{flag.contingency?.degrades || <span className="muted">nobody wrote it down</span>}</dd>
        <dt>Owner</dt><dd>{flag.owner || "nobody"}</dd>
        <dt>Last tested</dt><dd><Tested flag={flag} /></dd>
        {others.map((name) => <Other key={name} name={name} state={flag.environments[name]} />)}
      </dl>
      <div className="buttons big">
        {state?.drill ? (
          <ActionButton busy={busy} look="primary" label={`End the drill of ${flag.key}`} onClick={cancel}>End the drill</ActionButton>
        ) : state?.enabled ? (
          <ActionButton busy={busy} look="danger" label={`Switch off ${flag.key} in ${environment}`} onClick={off}>Switch off</ActionButton>
        ) : (
          <ActionButton busy={busy} label={`Switch on ${flag.key} in ${environment}`} why={state?.updated_at ? null : "It is not configured here."} onClick={on}>Switch on</ActionButton>
        )}
        {state?.drill && <ActionButton busy={busy} look="danger" label={`Switch off for good: ${flag.key} in ${environment}`} onClick={off}>Switch off for good</ActionButton>}
        {!state?.drill && <ActionButton busy={busy} label={`Drill ${DRILL_S} s of ${flag.key}`} tight why={state?.enabled ? null : "It is off, so there is nothing to try."} onClick={drill}>Drill {DRILL_S} s</ActionButton>}
        <button type="button" className="button" aria-label={`Edit ${flag.key}`} onClick={() => setEditing(true)}>Edit</button>
      </div>
      <ContingencyForm flag={flag} open={editing} onClose={() => setEditing(false)} />
    </li>
  );
}

function Other({ name, state }: { name: string; state: FlagEnvironment | undefined }): ReactElement {
  return <><dt>In {name}</dt><dd><State state={state} /></dd></>;
}

/** Switches for bad days, the one to throw first in front. */
export default function ContingencyPage(): ReactElement {
  const params = useParams();
  const query = useQuery("flags:contingency", flagLife.contingency, { touches: ["flag."], everyMs: 15_000 });
  const names = [...new Set(query.data?.items.flatMap(({ environments }) => Object.keys(environments)) ?? [])].sort();
  const wanted = params.get("environment", "production");
  const environment = names.includes(wanted) ? wanted : (names[0] ?? wanted);
  return (
    <PageFrame title="Contingency">
      <FlagNav />
      <p className="muted">What can be switched off when it hurts. The first is the one that people miss least. A drill switches off and, by itself, on again.</p>
      {names.length > 1 && (
        <div className="filters">
          <Field label="Environment">
            <select value={environment} onChange={(event) => params.set({ environment: event.target.value })}>
              {names.map((name) => <option key={name}>{name}</option>)}
            </select>
          </Field>
        </div>
      )}
      <Loaded query={query}>
        {({ items }) => items.length === 0 ? (
          <Empty title="There is no contingency switch yet." command="tenfold flag create no_thumbnails --kind kill_switch --description 'Serve originals'">Give a flag a rank under “Contingency” on its page, or make a flag of the kind “kill switch”:</Empty>
        ) : (
          <ol className="stack">{items.map((flag) => <Card key={flag.key} flag={flag} environment={environment} />)}</ol>
        )}
      </Loaded>
    </PageFrame>
  );
}
