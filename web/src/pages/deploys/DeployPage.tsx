import type { ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import type { Deploy } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { isRunning } from "../../lib/status";
import { plural } from "../../lib/units";
import { CommitList } from "../../parts/CommitList";
import { CanaryHold, DeployStatus, LeftRunning, PodTiles, Shas } from "../../parts/DeployBits";
import { Link } from "../../router/Link";
import type { PageProps } from "../../shell/routes";
import { Elapsed, Problem, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { CanaryJudge } from "./CanaryJudge";
import { DeployActions } from "./DeployActions";
import { DeployGraphs } from "./DeployGraphs";
import { DeployRecord } from "./DeployRecord";
import { Approvals, Score } from "./Expects";
import { DeployPlan } from "./run/DeployPlan";
import { HostGrid } from "./run/HostGrid";
import { RunLog } from "./run/RunLog";
import { ServicePage } from "./ServicePage";
import { servicePath } from "./service/path";

function Facts({ deploy }: { deploy: Deploy }): ReactElement {
  return (
    <dl className="facts">
      <dt>Service</dt>
      <dd><Link className="inline-link" to={servicePath(deploy.service)}>{deploy.service}</Link> in {deploy.environment}</dd>
      <dt>What</dt>
      <dd><Shas deploy={deploy} />, {plural(deploy.commit_count, "commit")}</dd>
      <dt>Who</dt>
      <dd>{deploy.actor_name}{deploy.reason && <span className="muted">: {deploy.reason}</span>}</dd>
      {deploy.handed_to && <><dt>Handed to</dt><dd>{deploy.handed_to}{!deploy.handed_to.startsWith("command ") && <span className="muted"> (contract-tested; never run on a real cluster)</span>}</dd></>}
      <dt>When</dt>
      <dd><Time at={deploy.started_at} show="both" />, {deploy.finished_at ? "took" : "running for"} <Elapsed from={deploy.started_at} to={deploy.finished_at} /></dd>
      {deploy.reverts ? <><dt>Reverts</dt><dd><Link to={`/deploys/${deploy.reverts}`}>deploy {deploy.reverts}</Link></dd></> : null}
      {deploy.reverted_by ? <><dt>Taken back</dt><dd>by <Link to={`/deploys/${deploy.reverted_by}`}>rollback {deploy.reverted_by}</Link></dd></> : null}
      {deploy.from_deploy ? <><dt>Before it</dt><dd><Link to={`/deploys/${deploy.from_deploy}`}>deploy {deploy.from_deploy}</Link></dd></> : null}
      {deploy.overridden && <><dt>Passed over</dt><dd>windows, freezes, locks and stages: {deploy.overridden}</dd></>}
      {deploy.forward_of ? <><dt>Forward over</dt><dd><Link className="inline-link" to={`/deploys/${deploy.forward_of}`}>deploy {deploy.forward_of}</Link>, which was taken back</dd></> : null}
      {deploy.after_stage && <><dt>Passed</dt><dd>{deploy.after_stage.environment} as <Link to={`/deploys/${deploy.after_stage.deploy}`}>deploy {deploy.after_stage.deploy}</Link></dd></>}
      {deploy.digest && <><dt>Artifact</dt><dd className="mono wrap-any">{deploy.digest}</dd></>}
    </dl>
  );
}

function Body({ deploy }: { deploy: Deploy }): ReactElement {
  const canaries = deploy.hosts.filter(({ canary }) => canary);
  return (
    <>
      {deploy.error && <Problem message={deploy.error} />}
      {deploy.max_commits_exceeded && <p><Status look="warning">{plural(deploy.commit_count + deploy.removed.length, "commit")}, and {deploy.max_commits} are the most that one deploy should carry</Status> <span className="muted">Small deploys are easier to understand and to undo.</span></p>}
      {deploy.irreversible && <p><Status look="warning">Does not go back by itself</Status> <span className="muted">{deploy.irreversible}</span></p>}
      {deploy.approval && <Approvals approval={deploy.approval} />}
      <LeftRunning deploy={deploy} />
      {deploy.hook && <p><Status look="busy">The hook {deploy.hook} runs</Status></p>}
      <DeployPlan deploy={deploy} />
      <CanaryHold deploy={deploy} />
      <div className="columns">
        <div className="stack">
          <Section title={deploy.handed_to ? "Steps" : "Hosts"} end={canaries.length > 0 && <span className="muted">canary: {canaries.length <= 4 ? canaries.map(({ host }) => host).join(", ") : plural(canaries.length, "host")}</span>}>
            {deploy.hosts.length === 0 ? <p className="muted">No host was chosen yet.</p> : <HostGrid hosts={deploy.hosts} />}
          </Section>
          {deploy.pods && deploy.pods.length > 0 && <Section title="Pods"><PodTiles pods={deploy.pods} /></Section>}
          {deploy.judged && <CanaryJudge judged={deploy.judged} service={deploy.service} />}
          {deploy.expects && <Score expects={deploy.expects} out={deploy.state === "succeeded" || isRunning(deploy.state)} />}
          <RunLog number={deploy.number} running={isRunning(deploy.state)} />
          <DeployGraphs deploy={deploy} />
        </div>
        <div className="stack">
          <Section title="Facts"><Facts deploy={deploy} /></Section>
          <Section title="Commits">
            {deploy.commits.length + deploy.removed.length === 0 && <p className="muted">No commit differs.</p>}
            <CommitList commits={deploy.commits} />
            {deploy.removed.length > 0 && <CommitList commits={deploy.removed} removed />}
          </Section>
          <DeployRecord number={deploy.number} />
        </div>
      </div>
    </>
  );
}

/** `/deploys/12` is a deploy, `/deploys/photos` a service. */
export default function DeployPage({ params }: PageProps): ReactElement {
  const name = params.number ?? "";
  return /^\d+$/.test(name) ? <OneDeploy number={Number(name)} /> : <ServicePage name={name} />;
}

function OneDeploy({ number }: { number: number }): ReactElement {
  const valid = Number.isSafeInteger(number) && number > 0;
  const query = useQuery(valid ? `deploy:${number}` : null, () => deploys.get(number), { touches: ["deploy.", "host."] });
  if (!valid) return <PageFrame title="No such deploy"><p>A deploy has a number, as in <Link to="/deploys">the deploy log</Link>.</p></PageFrame>;
  const deploy = query.data;
  const title = deploy ? `${deploy.kind === "rollback" ? "Rollback" : "Deploy"} ${number} of ${deploy.service} to ${deploy.environment}` : `Deploy ${number}`;
  return (
    <PageFrame title={title} sub={deploy && <DeployStatus deploy={deploy} />} actions={deploy && <DeployActions deploy={deploy} />}>
      <Loaded query={query}>{(loaded) => <Body deploy={loaded} />}</Loaded>
    </PageFrame>
  );
}
