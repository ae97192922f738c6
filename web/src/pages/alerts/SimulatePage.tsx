import { useState, type FormEvent, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import type { Decision, Foretold, ForetoldIncident } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { toLocalInput } from "../../lib/time";
import { plural } from "../../lib/units";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import { Empty, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { channelOf } from "../settings/reach";
import { AlertTabs } from "./AlertTabs";
import { Rows } from "./Decisions";
import { labelsAsked } from "./matchers";
import { WhyNot } from "./WhyNot";

interface RouteVerdict {
  route: string;
  receiver: string;
  decisions: Decision[];
}

/** `held_since`: it is due then, and waits for mutes. */
type Step = ForetoldIncident["steps"][number];

const TOUCHES = ["alert.", "mute.", "routing.", "policy.", "schedule.", "override.", "incident."];

const VERDICT: Record<string, string> = { opened: "is opened", joined: "is joined", reopened: "is opened again", has: "has it already" };
const REASON: Record<string, string> = { first: "for the first time", grown: "since more alerts joined", shrunk: "since some are over", repeat: "once more", over: "that it is over" };

/** Each route that it takes, with what each stage says. */
function Routes({ told }: { told: Foretold }): ReactElement {
  const { routes, refused } = told.explanation as unknown as { routes: RouteVerdict[]; refused: [string, string][] };
  return (
    <Section title="What is decided">
      <div className="stack">
        {told.firing && <p>It fires now: this is about that very alert.</p>}
        {routes.map(({ route, receiver, decisions }) => (
          <div key={route}>
            <h3>{receiver} <span className="small muted mono wrap-any">{route}</span></h3>
            <Rows decisions={decisions} />
          </div>
        ))}
        {refused.length > 0 && (
          <details>
            <summary className="small muted">{plural(refused.length, "route that it does not take", "routes that it does not take")}</summary>
            <ul>{refused.map(([route, matcher]) => <li key={`${route} ${matcher}`} className="small wrap-any"><span className="mono">{route}</span>: {matcher} does not hold</li>)}</ul>
          </details>
        )}
      </div>
    </Section>
  );
}

/** The incident, and the ladder of its pages if nobody acknowledges. */
function Incident({ incident }: { incident: ForetoldIncident }): ReactElement {
  const { number, policy } = incident;
  return (
    <div>
      <p>
        <Time at={incident.at} show="both" />: {number ? <Link className="inline-link" to={`/incidents/${number}`}>incident {number}</Link> : "an incident"} {VERDICT[incident.verdict] ?? incident.verdict}, {incident.because}
      </p>
      <p>{policy ? <>By the policy <Link className="inline-link" to="/on-call">{policy}</Link>, if nobody acknowledges:</> : "There is no policy for it: nobody is paged."}</p>
      <ol className="ladder">
        {incident.steps.map(({ step, round, at, pages, ...more }: Step) => (
          <li key={`${round}-${step}`}>
            <span>
              <Time at={at} show="stamp" seconds /><br />
              <span className="small muted">{pages.some((page) => page.reasons.some(({ stage }) => stage === "handed")) ? "handed over" : `step ${step}`}{round > 1 ? `, round ${round}` : ""}</span>
              {more.held_since && <><br /><span className="small muted">due <Time at={more.held_since} show="stamp" seconds />, waits while all its alerts are muted</span></>}
            </span>
            {pages.length === 0 ? <span className="form-error">nobody, it is passed over</span> : (
              <ul>
                {pages.map((page) => (
                  <li key={page.person}>
                    <span className="strong">{page.person_name || page.person}</span>{page.copy && " in copy"}{" "}
                    {page.ways.length === 0 ? <span className="form-error">cannot be reached</span> : page.ways.map((way, index) => <span key={way.channel}>{index > 0 && ", then "}{channelOf(way.channel).text} <Time at={way.at} show="stamp" seconds /></span>)}
                    <details>
                      <summary className="small muted">Why</summary>
                      <dl className="facts small">{page.reasons.map(({ stage, because }) => [<dt key={`${stage}-${because}`}>{stage}</dt>, <dd key={because}>{because}</dd>])}</dl>
                    </details>
                  </li>
                ))}
              </ul>
            )}
          </li>
        ))}
        {incident.exhausted_at && <li><span><Time at={incident.exhausted_at} show="stamp" seconds /></span><span>no step is left</span></li>}
      </ol>
    </div>
  );
}

function Pages({ told }: { told: Foretold }): ReactElement {
  const incidents = [...(told.incident ? [told.incident] : []), ...told.further];
  const notifications = told.notifications as unknown as { at: string; notification: { receiver: string; reason: string } }[];
  return (
    <Section title="Who is told within a day">
      <div className="stack">
        {incidents.map((incident, index) => <Incident key={index} incident={incident} />)}
        {incidents.length === 0 && <p className="muted">{told.pages ? "Nobody is paged for it within a day." : "It pages nobody: it is not critical, no label page=true is on it, and its receivers page for critical alerts alone."}</p>}
        {notifications.length > 0 && (
          <details>
            <summary className="small muted">{notifications.length === 1 ? "One message to a receiver" : `${notifications.length} messages to receivers`}</summary>
            <ul>{notifications.map(({ at, notification }, index) => <li key={index} className="small"><Time at={at} show="stamp" seconds />: {notification.receiver}, {REASON[notification.reason] ?? notification.reason}</li>)}</ul>
          </details>
        )}
      </div>
    </Section>
  );
}

/** What would become of an alert with these labels. The code that decides in earnest is played on a copy; nothing changes. */
export default function SimulatePage(): ReactElement {
  const params = useParams();
  const [labels, at] = [params.get("labels"), params.get("at")];
  const [text, setText] = useState(labels);
  const [when, setWhen] = useState(() => (Number.isNaN(Date.parse(at)) ? "" : toLocalInput(Date.parse(at))));
  const query = useQuery(labels ? `simulate:${at}:${labels}` : null, () => alerts.simulate(labelsAsked(labels), at), { touches: TOUCHES });
  const ask = (event: FormEvent): void => {
    event.preventDefault();
    params.set({ labels: text.trim(), at: when ? new Date(when).toISOString() : null }, false);
  };
  return (
    <PageFrame title="What if">
      <AlertTabs current="simulate" />
      <form className="form" onSubmit={ask}>
        <Field label="Labels of an alert" hint="It need not exist. Nothing is sent, and nothing changes."><input required className="mono" value={text} placeholder="alertname=Down service=photos severity=critical" onChange={(event) => setText(event.target.value)} /></Field>
        <Field label="When" hint="Empty is now."><input type="datetime-local" value={when} onChange={(event) => setWhen(event.target.value)} /></Field>
        <div className="buttons"><button type="submit" className="button primary">Play it</button></div>
      </form>
      {!labels ? (
        <Empty title="Who would be told, when, how and why." command="tenfold simulate alertname=Down service=photos severity=critical" />
      ) : (
        <Loaded query={query}>
          {(told) => (
            <div className="columns">
              <div className="stack"><Pages told={told} /></div>
              <div className="stack"><Routes told={told} /><WhyNot key={labels} labels={labels} /></div>
            </div>
          )}
        </Loaded>
      )}
    </PageFrame>
  );
}
