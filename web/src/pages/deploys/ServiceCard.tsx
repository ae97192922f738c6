import { useState, type ReactElement } from "react";
import { deploys, services } from "../../api/endpoints";
import type { Service } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { plural } from "../../lib/units";
import { useAction } from "../../lib/useAction";
import { DeployStatus, Steps } from "../../parts/DeployBits";
import { Link } from "../../router/Link";
import { navigate } from "../../router/router";
import { ActionButton } from "../../ui/Action";
import { lacks, useSession } from "../../shell/session";
import { Problem, Status, Time } from "../../ui/basics";
import { Checklist, whoApproves } from "./Expects";
import { LockDialog } from "./LockDialog";
import { LockLine, LocksOf } from "./Locks";
import { OverrideDialog } from "./OverrideDialog";
import { QueueLine, StageLine } from "./Queue";
import { servicePath } from "./service/path";
import { Runs } from "./service/Runs";
import { Movement, Ships } from "./service/Ships";
import { TrainLine } from "./Train";
import { whyNot } from "./whyNot";

/** One service in one environment: what runs, what would ship, and the one button. On the service's own page it is `full`. */
export function ServiceCard({ service, environment, full = false }: { service: Service; environment: string; full?: boolean }): ReactElement {
  const [locking, setLocking] = useState(false);
  const [passing, setPassing] = useState(false);
  const [ticked, setTicked] = useState({ about: "", words: "" });
  const { busy, run } = useAction("deploy.");
  const { person } = useSession();
  const query = useQuery(`next:${service.name}:${environment}`, () => services.next(service.name, environment), {
    touches: ["deploy.", "lock.", "service.", "train."],
    everyMs: 30_000,
  });
  const next = query.data;
  const trains = useQuery("trains", () => deploys.trains(), { touches: ["train.", "deploy."], everyMs: 30_000 });
  const train = trains.data?.items.find((one) => one.service === service.name && one.environment === environment);
  const closed = whyNot(next);
  const why = query.error && !next ? query.error.message : (closed?.why ?? null);
  const current = service.current[environment];
  // What was ticked of one checklist says nothing of another.
  const about = JSON.stringify(next?.expects ?? null);
  const start = async (override?: string): Promise<boolean> => {
    const more = { ...(ticked.about === about && ticked.words ? { reason: ticked.words } : {}), ...(override ? { override } : {}) };
    const started = await run(() => deploys.start(service.name, environment, more), (deploy) => `Deploy ${deploy.number} is queued.`);
    if (started) navigate(`/deploys/${started.number}`);
    return started !== undefined;
  };
  return (
    <article className="panel pad service-card" aria-label={`${service.name} in ${environment}`}>
      <div className="section-head">
        {full ? <h2>{environment}</h2> : <><h3><Link to={servicePath(service.name)}>{service.name}</Link></h3><span className="tag">{environment}</span></>}
        {next && <Movement next={next} />}
        {current && (current.deploy > 0
          ? <span className="muted">deploy <Link to={`/deploys/${current.deploy}`}>{current.deploy}</Link> since <Time at={current.since} /></span>
          : <span className="muted">put there by no deploy of here</span>)}
      </div>
      {service.description && !full && <p className="muted">{service.description}</p>}
      {query.error && <Problem message={query.error.message} advice={query.error.advice} retry={query.reload} />}
      {full && <Runs service={service.name} environment={environment} />}
      {full ? <LocksOf service={service.name} environment={environment} /> : next?.locked && <LockLine lock={next.locked} />}
      {next?.running && (
        <p>
          <DeployStatus deploy={next.running} /> <Link to={`/deploys/${next.running.number}`}>Deploy {next.running.number} by {next.running.actor_name}</Link>
        </p>
      )}
      {full && next?.running && <Steps deploy={next.running} />}
      {next?.closed?.opens_at && <p className="muted">It opens again <Time at={next.closed.opens_at} show="stamp" />.</p>}
      <TrainLine train={train} service={service.name} environment={environment} />
      <QueueLine service={service.name} environment={environment} next={next} />
      {next?.stage && <StageLine stage={next.stage} />}
      {next && <Ships next={next} full={full} />}
      {next?.irreversible && <p><Status look="warning">Does not go back by itself</Status> <span className="muted">{next.irreversible}</span></p>}
      {next?.approval && <p className="muted">{plural(next.approval.count, "person", "people")} must approve before the first host flips ({whoApproves(next.approval)}).</p>}
      {next?.expects && <Checklist key={about} expects={next.expects} onTicked={(words) => setTicked({ about, words })} />}
      <div className="buttons">
        <ActionButton look="primary" busy={busy} why={why} label={`Deploy ${service.name} to ${environment}`} onClick={() => void start()}>Deploy</ActionButton>
        {next && <ActionButton why={lacks(person, "deployer")} tight onClick={() => setLocking(true)}>Lock</ActionButton>}
        {closed?.passable && person.role === "admin" && <ActionButton look="danger" busy={busy} onClick={() => setPassing(true)}>Deploy all the same</ActionButton>}
      </div>
      <OverrideDialog open={passing} onClose={() => setPassing(false)} why={closed?.why ?? ""} start={start} />
      <LockDialog open={locking} onClose={() => setLocking(false)} service={service.name} environment={environment} runs={current?.sha} />
    </article>
  );
}
