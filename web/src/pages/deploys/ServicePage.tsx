import type { ReactElement } from "react";
import { alerts, deploys, services } from "../../api/endpoints";
import type { Service } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { AlertItem, MoreAlerts } from "../../parts/AlertItem";
import { isLive, LISTED, liveCount } from "../../parts/alertGroups";
import { Link } from "../../router/Link";
import { Empty, Problem } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { DeployRows } from "./log/DeployRows";
import { ServiceCard } from "./ServiceCard";
import { ServiceGraphs } from "./service/ServiceGraphs";

const LAST = 10;

function Facts({ service }: { service: Service }): ReactElement {
  const named = (names: string[]): ReactElement[] => names.map((name, at) => <span key={name}>{at > 0 && ", "}<Link to={`/deploys/${encodeURIComponent(name)}`}>{name}</Link></span>);
  return (
    <dl className="facts">
      {service.owner_team && <><dt>Team</dt><dd>{service.owner_team}</dd></>}
      <dt>Repository</dt>
      <dd className="wrap-any"><code>{service.repository}</code> at {service.branch}</dd>
      <dt>Pipeline file</dt>
      <dd className="wrap-any"><code>{service.pipeline_path}</code></dd>
      {service.policy && <><dt>Who is called</dt><dd><Link to="/on-call">{service.policy}</Link></dd></>}
      {service.dependencies.length > 0 && <><dt>Needs</dt><dd>{named(service.dependencies)}</dd></>}
    </dl>
  );
}

function LastDeploys({ name }: { name: string }): ReactElement {
  const query = useQuery(`last:${name}`, () => deploys.list({ service: name, limit: LAST }), { touches: ["deploy."] });
  return (
    <Section title="Last deploys" end={<Link to={`/deploys?service=${encodeURIComponent(name)}`}>All of them</Link>}>
      <Loaded query={query}>
        {({ items }) => (items.length === 0 ? <Empty title="Nothing was deployed yet." command={`tenfold deploy ${name}`}>Press Deploy above, or type the same in a terminal or the chat room.</Empty> : <DeployRows rows={items} place={false} />)}
      </Loaded>
    </Section>
  );
}

/** Nothing stands here while nothing fires. */
function Firing({ name }: { name: string }): ReactElement | null {
  const query = useQuery(`alerts:${name}`, () => alerts.list({ service: name, per_service: LISTED }), { touches: ["alert.", "mute.", "incident.acknowledged", "deploy."], everyMs: 30_000 });
  const firing = query.data?.items.filter(isLive) ?? [];
  // Nothing here would be read as nothing that fires.
  if (firing.length === 0 && !query.error) return null;
  return (
    <Section title="Firing" end={<Link to={`/alerts?service=${encodeURIComponent(name)}`}>All of its alerts</Link>}>
      {query.error && <Problem message={query.error.message} advice={query.error.advice} retry={query.reload} />}
      <ul>{firing.map((alert) => <AlertItem key={alert.fingerprint} alert={alert} />)}</ul>
      <MoreAlerts count={liveCount(query.data?.counts ?? []) - firing.length} />
    </Section>
  );
}

function Body({ service }: { service: Service }): ReactElement {
  return (
    <>
      <Firing name={service.name} />
      {service.environments.map((environment) => <ServiceCard key={environment} service={service} environment={environment} full />)}
      {service.environments.length === 0 && <Empty title="It goes to no environment yet.">Name its environments in its file, and apply it.</Empty>}
      <LastDeploys name={service.name} />
      <ServiceGraphs service={service.name} />
      <Section title="Facts"><Facts service={service} /></Section>
    </>
  );
}

/** One service: what runs where, what would ship, who is on the train, and what was shipped before. */
export function ServicePage({ name }: { name: string }): ReactElement {
  const query = useQuery("services", services.list, { touches: ["service.", "deploy."] });
  const service = query.data?.items.find((one) => one.name === name);
  const about = encodeURIComponent(name);
  const links = (
    <>
      <Link className="button small" to={`/timeline?service=${about}`}>Timeline</Link>
      <Link className="button small" to={`/alerts?service=${about}`}>Alerts</Link>
      <Link className="button small" to="/flags">Flags</Link>
    </>
  );
  return (
    <PageFrame title={name} sub={service?.description} actions={service && links}>
      <Loaded query={query}>
        {() => service ? <Body service={service} /> : (
          <Empty title={`There is no service called ${name}.`} command="tenfold apply demo/config">
            A deploy has a number and a service has a name, as in <Link to="/deploys">the list of both</Link>.
          </Empty>
        )}
      </Loaded>
    </PageFrame>
  );
}
