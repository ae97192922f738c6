import { useState, type ReactElement } from "react";
import { alerts, incidents } from "../../api/endpoints";
import type { Incident } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { incidentLook } from "../../lib/status";
import { useAction } from "../../lib/useAction";
import { Suspects } from "../../parts/Suspects";
import { Link } from "../../router/Link";
import type { PageProps } from "../../shell/routes";
import { lacks, useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Elapsed, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { Classify } from "./Classify";
import { DrillScore } from "./DrillScore";
import { HandOverDialog } from "./HandOverDialog";
import { IncidentPages } from "./IncidentPages";
import { IncidentTimeline } from "./IncidentTimeline";
import { NoteForm } from "./NoteForm";
import { Postmortem } from "./Postmortem";

const TOUCHES = ["incident.", "page.", "alert."];

/** How long one may have it, as the API takes it. */
const HELD: [string, string][] = [["", "as the policy says"], ["30m", "30 minutes"], ["1h", "1 hour"], ["2h", "2 hours"], ["4h", "4 hours"], ["8h", "8 hours"]];

function Actions({ incident, onPostmortem }: { incident: Incident; onPostmortem: () => void }): ReactElement {
  const { busy, run } = useAction(...TOUCHES);
  const { person } = useSession();
  const [held, setHeld] = useState("");
  const [handing, setHanding] = useState(false);
  const { number, state } = incident;
  const may = lacks(person, "responder");
  const mine = state === "acknowledged" && incident.acknowledged_by === person.login;
  const timed = Boolean(incident.escalation) && (state === "open" || mine);
  return (
    <>
      {timed && (
        <label className="inline">for <select value={held} onChange={(event) => setHeld(event.target.value)} aria-label="How long you have it">
          {HELD.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
        </select></label>
      )}
      <ActionButton
        look={state === "open" ? "primary" : undefined}
        busy={busy}
        why={may ?? (state === "open" || (timed && held !== "") ? null : state === "acknowledged" ? `${incident.acknowledged_by ?? "Somebody"} has it.` : "It is over.")}
        onClick={() => void run(() => incidents.acknowledge(number, held || undefined), "You have it. The paging stops.")}
      >
        Acknowledge
      </ActionButton>
      {state !== "resolved" && (
        <ActionButton
          busy={busy}
          why={may ?? (incident.escalation && incident.escalation.steps > 0 ? null : "There is no policy that says who is next.")}
          tight
          onClick={() => void run(() => incidents.escalate(number, incident.escalation ?? undefined), "The next one is asked.")}
        >
          Ask the next one
        </ActionButton>
      )}
      {state !== "resolved" && <ActionButton why={may} tight onClick={() => setHanding(true)}>Hand over</ActionButton>}
      {handing && <HandOverDialog incident={incident} onClose={() => setHanding(false)} />}
      {state !== "resolved" && <ActionButton busy={busy} why={may} tight onClick={() => void run(() => incidents.resolve(number), `Incident ${number} is resolved.`)}>Resolve</ActionButton>}
      <button type="button" className="button" onClick={onPostmortem}>Postmortem draft</button>
    </>
  );
}

/** Alerts that are named one by one, and of these the ones that are told with what they say and their runbook. */
const ALERTS_NAMED = 20;
const ALERTS_TOLD = 5;

/** An alert by its fingerprint; one that was over long ago is known by nothing else. */
function AlertLine({ fingerprint }: { fingerprint: string }): ReactElement {
  const query = useQuery(`alert:${fingerprint}`, () => alerts.one(fingerprint), { touches: ["alert."] });
  const to = `/alerts/${encodeURIComponent(fingerprint)}`;
  const alert = query.data;
  if (!alert) return <div><Link className="mono" to={to}>{fingerprint.slice(0, 12)}</Link></div>;
  return (
    <div>
      <Link className="inline-link" to={to}>{alert.rule}</Link> <span className="muted">{alert.state}</span> {alert.summary}
      {alert.runbook_url && /^https?:\/\//.test(alert.runbook_url) && <> <a className="inline-link" href={alert.runbook_url} rel="noreferrer noopener">Runbook</a></>}
    </div>
  );
}

function Facts({ incident }: { incident: Incident }): ReactElement {
  const total = incident.alerts_total ?? incident.alerts.length;
  return (
    <dl className="facts">
      <dt>Opened</dt><dd><Time at={incident.opened_at} show="both" /></dd>
      <dt>Acknowledged</dt>
      <dd>{incident.acknowledged_at ? <>{incident.acknowledged_by}, after <Elapsed from={incident.opened_at} to={incident.acknowledged_at} />{incident.escalation?.expires_at && <>, until <Time at={incident.escalation.expires_at} show="both" /></>}</> : "not yet"}</dd>
      <dt>Resolved</dt>
      <dd>{incident.resolved_at ? <>after <Elapsed from={incident.opened_at} to={incident.resolved_at} /></> : <>lasts <Elapsed from={incident.opened_at} /></>}</dd>
      {incident.reopened ? <><dt>Opened again</dt><dd>{incident.reopened === 1 ? "once, because it fired soon after it was over" : `${incident.reopened} times, because it fired soon after it was over`}</dd></> : null}
      <dt>Service</dt><dd>{incident.service ?? "not known"}{incident.environment ? ` in ${incident.environment}` : ""}</dd>
      {incident.escalation?.policy && <><dt>Policy</dt><dd><Link to="/on-call">{incident.escalation.policy}</Link></dd></>}
      {incident.alerts.length > 0 && (
        <>
          <dt>Alerts</dt>
          <dd>
            {incident.alerts.slice(0, ALERTS_TOLD).map((fingerprint) => <AlertLine key={fingerprint} fingerprint={fingerprint} />)}
            {incident.alerts.slice(ALERTS_TOLD, ALERTS_NAMED).map((fingerprint) => <Link key={fingerprint} className="mono" to={`/alerts/${encodeURIComponent(fingerprint)}`}>{fingerprint.slice(0, 12)} </Link>)}
            {total > ALERTS_NAMED && <span className="muted">{`and ${total - ALERTS_NAMED} more`}</span>}
          </dd>
        </>
      )}
    </dl>
  );
}

function Body({ incident }: { incident: Incident }): ReactElement {
  return (
    <div className="columns">
      <div className="stack">
        <Section title="Changes shortly before">
          {incident.suspects.length === 0 ? <p className="muted">No deploy and no flip shortly before it began.</p> : <Suspects suspects={incident.suspects} service={incident.service} environment={incident.environment} over={incident.state === "resolved"} />}
        </Section>
        <IncidentTimeline number={incident.number} />
      </div>
      <div className="stack">
        <Section title="Facts"><Facts incident={incident} /></Section>
        {incident.score && <DrillScore score={incident.score} />}
        <IncidentPages incident={incident} />
        {incident.pages.length > 0 && <Classify incident={incident} />}
        <NoteForm number={incident.number} />
      </div>
    </div>
  );
}

export default function IncidentPage({ params }: PageProps): ReactElement {
  const number = Number(params.number);
  const valid = Number.isInteger(number) && number > 0;
  const [reading, setReading] = useState(false);
  const query = useQuery(valid ? `incident:${number}` : null, () => incidents.get(number), { touches: TOUCHES, everyMs: 15_000 });
  const incident = query.data;
  if (!valid) return <PageFrame title="No such incident"><p>An incident has a number, as in <Link to="/incidents">the list</Link>.</p></PageFrame>;
  const [look, word] = incident ? incidentLook(incident.state, incident.severity) : (["unknown", ""] as const);
  return (
    <PageFrame
      title={incident ? `Incident ${number}: ${incident.title}` : `Incident ${number}`}
      sub={incident && <Status look={look}>{word}</Status>}
      actions={incident && <Actions incident={incident} onPostmortem={() => setReading(true)} />}
    >
      <Loaded query={query}>{(loaded) => <Body incident={loaded} />}</Loaded>
      <Postmortem number={number} open={reading} onClose={() => setReading(false)} />
    </PageFrame>
  );
}
