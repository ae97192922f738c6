/** How a deploy looks: its state, its steps, its hosts. */
import type { ReactElement } from "react";
import type { Deploy, DeployHost, DeployPod } from "../api/types";
import { deployLook, hostDeployLook, stepLook } from "../lib/status";
import { useNow } from "../lib/clock";
import { clockWithSeconds, duration } from "../lib/time";
import { Link } from "../router/Link";
import { plural } from "../lib/units";
import { Elapsed, Sha, Status } from "../ui/basics";
import { DiffLink } from "./DiffLink";
import { awayWords, hostLook, leftWords, summary, TILES_MAX } from "./deployHosts";
import { ladder } from "./steps";

/** A deploy that went well and was taken back later is not shown as well. */
export function DeployStatus({ deploy }: { deploy: Pick<Deploy, "state" | "reverted_by"> }): ReactElement {
  const [look, word] = deploy.reverted_by && deploy.state === "succeeded" ? (["warning", "Taken back"] as const) : deployLook(deploy.state);
  return <Status look={look}>{word}</Status>;
}

export function Shas({ deploy }: { deploy: Pick<Deploy, "from_sha" | "to_sha" | "diff_url"> }): ReactElement {
  return (
    <span className="nowrap">
      <Sha sha={deploy.from_sha} /> <span aria-label="to">→</span> <Sha sha={deploy.to_sha} />
      {deploy.diff_url && <> <DiffLink url={deploy.diff_url} /></>}
    </span>
  );
}

export function Steps({ deploy }: { deploy: Deploy }): ReactElement | null {
  const rungs = ladder(deploy);
  if (rungs.length === 0) return null;
  return (
    <ol className="steps" aria-label="Steps">
      {rungs.map((step, index) => {
        const [look, word] = stepLook(step.state);
        return (
          <li key={`${index}-${step.name}`} className={`step look-${look}-edge`} aria-current={step.state === "running" ? "step" : undefined}>
            <span className="strong">{step.name}</span>
            <span className="small">
              <Status look={look}>{word}</Status>{" "}
              <span className="muted">{step.started_at && <Elapsed from={step.started_at} to={step.finished_at} />}</span>
            </span>
          </li>
        );
      })}
    </ol>
  );
}

/** What may still run at a server that had the deploy before: until it has ended nothing is run again. */
export function LeftRunning({ deploy }: { deploy: Deploy }): ReactElement | null {
  const words = leftWords(deploy, useNow());
  return words && <p><Status look="warning">{words[0]}</Status> <span className="muted">{words[1]}</span></p>;
}

/** How long the canary is still watched before all hosts follow. */
export function CanaryHold({ deploy }: { deploy: Deploy }): ReactElement | null {
  const now = useNow();
  if (!deploy.hold_until) return null;
  const left = Date.parse(deploy.hold_until) - now;
  return (
    <p>
      <Status look="busy">The canary is watched until {clockWithSeconds(deploy.hold_until)}</Status>{" "}
      <span className="muted">{left > 0 ? `${duration(Math.ceil(left / 1000) * 1000)} left` : "about to be judged"}</span>
    </p>
  );
}

export function HostTiles({ hosts }: { hosts: DeployHost[] }): ReactElement {
  const now = useNow();
  return (
    <ul className="hosts" aria-label="Hosts of this deploy">
      {hosts.map((host) => {
        const [look, word] = hostLook(host);
        const away = awayWords(host, now);
        return (
          <li key={host.host} className="host">
            <span className="head">
              <span className="strong">{host.host}</span>
              {host.canary && <span className="tag">canary</span>}
            </span>
            <Status look={look}>{word}</Status>
            {away && <span className="line whole">{away}</span>}
            {!away && host.message && <span className="line" title={host.message}>{host.message}</span>}
          </li>
        );
      })}
    </ul>
  );
}

/** How many hosts are in which state, where there is no room for each. */
function HostCounts({ hosts }: { hosts: DeployHost[] }): ReactElement {
  return (
    <ul className="buttons" aria-label="Hosts by state">
      {summary(hosts).map(({ state, look, word, count }) => <li key={state}><Status look={look}>{word}</Status> {count}</li>)}
    </ul>
  );
}

/** The pods or allocations of a deploy that a cluster carries out. */
export function PodTiles({ pods }: { pods: DeployPod[] }): ReactElement {
  return (
    <ul className="hosts" aria-label="Pods of this deploy">
      {pods.map((pod) => {
        const [look, word] = hostDeployLook(pod.state);
        return (
          <li key={pod.name} className="host">
            <span className="head">
              <span className="strong wrap-any">{pod.name}</span>
              <span className="tag">{pod.is_new ? "new" : "old"}</span>
            </span>
            <Status look={look}>{word}</Status>
            {pod.message && <span className="line" title={pod.message}>{pod.message}</span>}
          </li>
        );
      })}
    </ul>
  );
}

/** A deploy under way, as it stands on the first page. */
export function RunningDeploy({ deploy }: { deploy: Deploy }): ReactElement {
  const healthy = deploy.hosts.filter(({ state }) => state === "healthy").length;
  return (
    <article className="panel run" aria-label={`Deploy ${deploy.number} of ${deploy.service}`}>
      <div className="run-head">
        <DeployStatus deploy={deploy} />
        <Link className="strong" to={`/deploys/${deploy.number}`}>
          {deploy.kind === "rollback" ? "Rollback" : "Deploy"} {deploy.number} of {deploy.service} to {deploy.environment}
        </Link>
        <Shas deploy={deploy} />
        <span className="muted">{plural(deploy.commit_count, "commit")} by {deploy.actor_name}</span>
        <span className="muted right">
          {deploy.hosts.length > 0 && `${healthy} of ${plural(deploy.hosts.length, "host")}, `}
          <Elapsed from={deploy.started_at} to={deploy.finished_at} />
        </span>
      </div>
      <Steps deploy={deploy} />
      <CanaryHold deploy={deploy} />
      {deploy.hosts.length > TILES_MAX ? <HostCounts hosts={deploy.hosts} /> : deploy.hosts.length > 0 && <HostTiles hosts={deploy.hosts} />}
    </article>
  );
}
