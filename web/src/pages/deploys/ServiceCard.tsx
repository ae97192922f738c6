import { useState, type ReactElement } from "react";
import { deploys, services } from "../../api/endpoints";
import type { NextDeploy, Service } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { duration } from "../../lib/time";
import { plural } from "../../lib/units";
import { useAction } from "../../lib/useAction";
import { CommitList } from "../../parts/CommitList";
import { DeployStatus } from "../../parts/DeployBits";
import { Link } from "../../router/Link";
import { navigate } from "../../router/router";
import { ActionButton } from "../../ui/Action";
import { Problem, Sha, Status, Time } from "../../ui/basics";
import { Checklist } from "./Expects";
import { LockDialog, LockLine } from "./Locks";
import { lockWord } from "./locks";
import { TrainLine } from "./Train";

const COMMITS_SHOWN = 5;

function whyNot(next: NextDeploy | undefined): string | null {
  if (!next) return "Asking what would ship…";
  if (next.locked) return `${lockWord(next.locked)} by ${next.locked.owner_name}: ${next.locked.reason}`;
  if (next.closed) return `Closed: ${next.closed.why}`;
  if (next.running) return `Deploy ${next.running.number} is under way.`;
  if (!next.next) return "The repository has no commit to ship.";
  if (next.added.length === 0 && next.removed.length === 0 && next.current) return "Nothing new: the newest commit runs already.";
  return null;
}

function Ships({ next }: { next: NextDeploy }): ReactElement {
  const [all, setAll] = useState(false);
  const shown = all ? next.added : next.added.slice(0, COMMITS_SHOWN);
  return (
    <>
      {next.warnings.map((warning) => <p key={warning}><Status look="warning">{warning}</Status></p>)}
      {next.added.length > 0 && <CommitList commits={shown} />}
      {next.added.length > COMMITS_SHOWN && (
        <div>
          <button type="button" className="button plain" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? "Fewer" : `All ${next.added.length} commits`}
          </button>
        </div>
      )}
      {next.removed.length > 0 && (
        <>
          <p className="muted">These run now and would be gone:</p>
          <CommitList commits={next.removed} removed />
        </>
      )}
    </>
  );
}

function Movement({ next }: { next: NextDeploy }): ReactElement {
  return (
    <span>
      <Sha sha={next.current?.sha} /> <span aria-label="to">→</span> <Sha sha={next.next?.sha} />{" "}
      <span className="muted">
        {next.added.length > 0 && `${plural(next.added.length, "commit")} added`}
        {next.removed.length > 0 && `, ${plural(next.removed.length, "commit")} removed`}
        {next.expected_ms ? `, about ${duration(next.expected_ms)}` : ""}
      </span>
    </span>
  );
}

/** One service in one environment: what runs, what would ship, and the one button. */
export function ServiceCard({ service, environment }: { service: Service; environment: string }): ReactElement {
  const [locking, setLocking] = useState(false);
  const { busy, run } = useAction("deploy.");
  const query = useQuery(`next:${service.name}:${environment}`, () => services.next(service.name, environment), {
    touches: ["deploy.", "lock.", "service."],
    everyMs: 30_000,
  });
  const next = query.data;
  const trains = useQuery("trains", () => deploys.trains(), { touches: ["train.", "deploy."], everyMs: 30_000 });
  const train = trains.data?.items.find((one) => one.service === service.name && one.environment === environment);
  const why = query.error && !next ? query.error.message : whyNot(next);
  const current = service.current[environment];
  const start = async (): Promise<void> => {
    const started = await run(() => deploys.start(service.name, environment), (deploy) => `Deploy ${deploy.number} is queued.`);
    if (started) navigate(`/deploys/${started.number}`);
  };
  return (
    <article className="panel pad service-card" aria-label={`${service.name} in ${environment}`}>
      <div className="section-head">
        <h3>{service.name}</h3>
        <span className="tag">{environment}</span>
        {next && <Movement next={next} />}
        {current && <span className="muted">deploy <Link to={`/deploys/${current.deploy}`}>{current.deploy}</Link> since <Time at={current.since} /></span>}
      </div>
      {service.description && <p className="muted">{service.description}</p>}
      {query.error && <Problem message={query.error.message} advice={query.error.advice} retry={query.reload} />}
      {next?.locked && <LockLine lock={next.locked} />}
      {next?.running && (
        <p>
          <DeployStatus deploy={next.running} /> <Link to={`/deploys/${next.running.number}`}>Deploy {next.running.number} by {next.running.actor_name}</Link>
        </p>
      )}
      {next?.closed?.opens_at && <p className="muted">It opens again <Time at={next.closed.opens_at} show="stamp" />.</p>}
      <TrainLine train={train} service={service.name} environment={environment} />
      {next && <Ships next={next} />}
      {next?.irreversible && <p><Status look="warning">Does not go back by itself</Status> <span className="muted">{next.irreversible}</span></p>}
      {next?.approval && <p className="muted">{plural(next.approval.count, "person", "people")} must approve before the first host flips.</p>}
      {next?.expects && <Checklist expects={next.expects} />}
      <div className="buttons">
        <ActionButton look="primary" busy={busy} why={why} label={`Deploy ${service.name} to ${environment}`} onClick={() => void start()}>Deploy</ActionButton>
        {next && !next.locked && <button type="button" className="button" onClick={() => setLocking(true)}>Lock</button>}
      </div>
      <LockDialog open={locking} onClose={() => setLocking(false)} service={service.name} environment={environment} />
    </article>
  );
}
