import type { ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import type { Deploy } from "../../api/types";
import { isRunning } from "../../lib/status";
import { useAction } from "../../lib/useAction";
import { undoOf } from "../../parts/undo";
import { useRecentDeploys } from "../../parts/useRecentDeploys";
import { navigate } from "../../router/router";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";

/** The server decides; this only spares a click that it would refuse. */
function whyNotApprove(deploy: Deploy, login: string): string | null {
  const asked = deploy.approval;
  if (!asked) return null;
  if (asked.four_eyes && deploy.actor.id === login) return "You started it; somebody else approves.";
  if (asked.by.length > 0 && !asked.by.includes(login)) return `It is for ${asked.by.join(", ")} to approve.`;
  if (asked.given.some((given) => given.login === login)) return "You approved it already.";
  return null;
}

/** What a person can do to a deploy. What cannot be done now says why. */
export function DeployActions({ deploy }: { deploy: Deploy }): ReactElement {
  const { busy, run } = useAction("deploy.");
  const { person } = useSession();
  const { why, also } = undoOf(deploy.number, useRecentDeploys(deploy.service, deploy.environment));
  const running = isRunning(deploy.state);
  const waits = deploy.state === "held" || deploy.state === "needs_human";
  const act = (work: (number: number) => Promise<Deploy>, done: string): void => void run(() => work(deploy.number), done);
  const follow = async (work: () => Promise<Deploy>, done: (next: Deploy) => string): Promise<void> => {
    const next = await run(work, done);
    if (next && next.number !== deploy.number) navigate(`/deploys/${next.number}`);
  };
  return (
    <>
      {deploy.state === "awaiting_approval" && (
        <ActionButton look="primary" busy={busy} why={whyNotApprove(deploy, person.login)} onClick={() => act(deploys.approve, `You approved deploy ${deploy.number}.`)}>
          Approve
        </ActionButton>
      )}
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
      <ActionButton look="danger" busy={busy} why={why} onClick={() => void follow(() => deploys.rollback(deploy.number), (next) => `Rollback ${next.number} has started.`)}>
        Roll back
      </ActionButton>
      {also.length > 0 && <span className="why">takes back {also.join(", ")} as well</span>}
    </>
  );
}
