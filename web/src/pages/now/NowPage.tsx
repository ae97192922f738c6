import type { ReactElement } from "react";
import type { Now } from "../../api/types";
import { AlertItem, MoreAlerts } from "../../parts/AlertItem";
import { isLive, LISTED } from "../../parts/alertGroups";
import { RunningDeploy } from "../../parts/DeployBits";
import { Link } from "../../router/Link";
import { useNowQuery } from "../../shell/useNowQuery";
import { useWatched } from "../../shell/useWatched";
import { Empty, Status } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { incidentLook } from "../../lib/status";
import { Figures } from "./Figures";
import { Fleet } from "./Fleet";
import { KeyGraphs } from "./KeyGraphs";
import { LiveRecord } from "./LiveRecord";
import { OnCallNow } from "./OnCallNow";

function Running({ now }: { now: Now }): ReactElement | null {
  if (now.running.length === 0) return null;
  return (
    <Section title="Being deployed">
      <div className="stack">{now.running.map((deploy) => <RunningDeploy key={deploy.number} deploy={deploy} />)}</div>
    </Section>
  );
}

function Incidents({ now }: { now: Now }): ReactElement | null {
  const open = now.incidents.filter(({ state }) => state !== "resolved");
  if (open.length === 0) return null;
  return (
    <ul>
      {open.map((incident) => {
        const [look, word] = incidentLook(incident.state, incident.severity);
        return (
          <li key={incident.number} className="alert">
            <Status look={look}>{word}</Status>
            <span>
              <Link className="strong" to={`/incidents/${incident.number}`}>Incident {incident.number}: {incident.title}</Link>{" "}
              <span className="muted">
                {incident.acknowledged_by ? `${incident.acknowledged_by} has it` : incident.escalation?.waiting_for?.length ? `waiting for ${incident.escalation.waiting_for.join(", ")}` : "nobody has it yet"}
              </span>
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function Firing({ now }: { now: Now }): ReactElement {
  const watched = useWatched();
  const firing = now.alerts.filter(isLive);
  const more = Math.max(0, firing.length - LISTED) + (now.alerts_more ?? 0);
  return (
    <Section title="Firing" end={<Link to="/alerts">All alerts</Link>}>
      <Incidents now={now} />
      {firing.length === 0 && watched === false ? (
        <Empty title="No rule watches anything yet, so nothing can fire." command="tenfold apply demo/config">Rules are files in the Prometheus form.</Empty>
      ) : firing.length === 0 ? (
        <p><Status look="ok">Nothing fires</Status></p>
      ) : (
        <>
          <ul>{firing.slice(0, LISTED).map((alert) => <AlertItem key={alert.fingerprint} alert={alert} />)}</ul>
          <MoreAlerts count={more} />
        </>
      )}
    </Section>
  );
}

/** What the server itself cannot do at the moment. */
function Troubles({ now }: { now: Now }): ReactElement | null {
  if (now.troubles.length === 0) return null;
  return (
    <Section title="Not working">
      <ul>{now.troubles.map(({ part, text }) => <li key={part + text} className="alert"><Status look="warning">{part}</Status><span>{text}</span></li>)}</ul>
    </Section>
  );
}

/** The first page: what is being deployed, what fires, who is on call, the graphs, the record live. */
export default function NowPage(): ReactElement {
  const query = useNowQuery();
  return (
    <PageFrame title="Now" quiet>
      <Loaded query={query}>
        {(now) => (
          <>
            <Troubles now={now} />
            <Running now={now} />
            <div className="columns">
              <div className="stack">
                <Firing now={now} />
                <KeyGraphs />
                <Figures now={now} />
                <Section title="Hosts">
                  {now.hosts.length === 0 ? (
                    <Empty title="No host is connected yet." command="tenfold agent --server http://127.0.0.1:7070 --token TOKEN">
                      Make an agent token under Settings, Tokens, then start the agent on a host.
                    </Empty>
                  ) : (
                    <Fleet hosts={now.hosts} />
                  )}
                </Section>
              </div>
              <div className="stack">
                <OnCallNow now={now} />
                <LiveRecord />
              </div>
            </div>
          </>
        )}
      </Loaded>
    </PageFrame>
  );
}
