import type { ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import type { Deploy } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { isRunning } from "../../lib/status";
import { useAction } from "../../lib/useAction";
import { navigate } from "../../router/router";
import { ActionButton } from "../../ui/Action";

function whyNoRollback(deploy: Deploy, newer: Deploy | undefined): string | null {
  if (deploy.reverted_by) return `Rollback ${deploy.reverted_by} took it back already.`;
  if (deploy.state === "succeeded") return newer ? `Deploy ${newer.number} runs now; roll that back instead.` : null;
  if (deploy.state === "rolled_back") return "It was rolled back already.";
  if (deploy.state === "rolling_back") return "It is being rolled back.";
  if (deploy.state === "cancelled" || deploy.state === "failed") return "It changed no host that still runs it.";
  return null;
}

/** What a person can do to a deploy. What cannot be done now says why. */
export function DeployActions({ deploy }: { deploy: Deploy }): ReactElement {
  const { busy, run } = useAction("deploy.");
  const latest = useQuery(
    `latest:${deploy.service}:${deploy.environment}`,
    () => deploys.list({ service: deploy.service, environment: deploy.environment, state: "succeeded", limit: 1 }),
    { touches: ["deploy.succeeded", "deploy.rolled_back"] },
  );
  const newest = latest.data?.items[0];
  const newer = newest && newest.number > deploy.number ? newest : undefined;
  const running = isRunning(deploy.state);
  const waits = deploy.state === "held" || deploy.state === "needs_human";
  const act = (work: (number: number) => Promise<Deploy>, done: string): void => void run(() => work(deploy.number), done);
  const follow = async (work: () => Promise<Deploy>, done: (next: Deploy) => string): Promise<void> => {
    const next = await run(work, done);
    if (next && next.number !== deploy.number) navigate(`/deploys/${next.number}`);
  };
  return (
    <>
      {waits && <ActionButton look="primary" busy={busy} onClick={() => act(deploys.promote, `Deploy ${deploy.number} goes on to all hosts.`)}>Promote</ActionButton>}
      {waits && <ActionButton look="danger" busy={busy} onClick={() => act(deploys.abort, `Deploy ${deploy.number} is being undone.`)}>Abort</ActionButton>}
      {running && !waits && (
        <ActionButton busy={busy} why={deploy.state === "rolling_back" ? "A rollback is not stopped half way." : null} onClick={() => act(deploys.cancel, `Deploy ${deploy.number} is being cancelled.`)}>
          Cancel
        </ActionButton>
      )}
      {!running && deploy.state !== "succeeded" && deploy.kind === "deploy" && (
        <ActionButton busy={busy} onClick={() => void follow(() => deploys.retry(deploy.number), (next) => `Deploy ${next.number} tries again.`)}>Retry</ActionButton>
      )}
      <ActionButton look="danger" busy={busy} why={whyNoRollback(deploy, newer)} onClick={() => void follow(() => deploys.rollback(deploy.number), (next) => `Rollback ${next.number} has started.`)}>
        Roll back
      </ActionButton>
    </>
  );
}
