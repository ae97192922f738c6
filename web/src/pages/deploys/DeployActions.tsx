import { useState, type ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import type { Deploy, Person } from "../../api/types";
import { isRunning } from "../../lib/status";
import { useAction } from "../../lib/useAction";
import { undoOf } from "../../parts/undo";
import { useRecentDeploys } from "../../parts/useRecentDeploys";
import { navigate } from "../../router/router";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { approversOf } from "./Expects";

const REASON_MAX = 200;

/** It was taken back, or is the way back: the next release goes forward over it. */
export const goesForward = ({ kind, state, reverted_by }: Pick<Deploy, "kind" | "state" | "reverted_by">): boolean =>
  kind === "rollback" ? state === "succeeded" : state === "rolled_back" || Boolean(reverted_by);

/** It ended otherwise than it was to, on all hosts or on some that it went on without. */
export const isRetried = ({ kind, state, reverted_by, hosts }: Pick<Deploy, "kind" | "state" | "reverted_by"> & { hosts: { state: string }[] }): boolean =>
  kind === "deploy" && !isRunning(state) && (state !== "succeeded" || (!reverted_by && hosts.some((host) => host.state === "failed" || host.state === "unreachable")));

/** Hosts flip, so it can be stopped where it is. The server decides; this only spares a click that it would refuse. */
export function whyNotHold(deploy: Pick<Deploy, "hook">): string | null {
  if (deploy.hook) return `The hook ${deploy.hook} runs and is not held half way.`;
  return null;
}

/** A way back is not left half way. The server decides; this only spares a click that it would refuse. */
export function whyNotCancel({ kind, state }: Pick<Deploy, "kind" | "state">): string | null {
  return state === "rolling_back" || (kind === "rollback" && state === "promoting") ? "A rollback is not stopped half way." : null;
}

/** The server decides; this only spares a click that it would refuse. */
export function whyNotApprove(deploy: Pick<Deploy, "approval" | "actor">, { login, teams }: Pick<Person, "login" | "teams">): string | null {
  const asked = deploy.approval;
  if (!asked) return null;
  if (asked.four_eyes && deploy.actor.id === login) return "You started it; somebody else approves.";
  const named = approversOf(asked);
  if (named.length > 0 && !asked.by.includes(login) && !asked.teams.some((team) => teams?.includes(team))) return `It is for ${named.join(", ")} to approve.`;
  if (asked.given.some((given) => given.login === login)) return "You approved it already.";
  return null;
}

/** What a person can do to a deploy, each with one press; a reason that was written before goes with it. What cannot be done now says why. */
export function DeployActions({ deploy }: { deploy: Deploy }): ReactElement {
  const { busy, run } = useAction("deploy.");
  const [reason, setReason] = useState("");
  const { person } = useSession();
  const { why, also } = undoOf(deploy.number, useRecentDeploys(deploy.service, deploy.environment));
  const running = isRunning(deploy.state);
  const waits = deploy.state === "held" || deploy.state === "needs_human";
  // hosts flip: to stop it is to go back
  const flips = deploy.kind === "deploy" && (deploy.state === "canary" || deploy.state === "promoting");
  const follow = async (work: (number: number, reason: string) => Promise<Deploy>, done: (next: Deploy) => string): Promise<void> => {
    const next = await run(() => work(deploy.number, reason), done);
    if (!next) return;
    setReason("");
    if (next.number !== deploy.number) navigate(`/deploys/${next.number}`);
  };
  const act = (work: (number: number, reason: string) => Promise<Deploy>, done: string): void => void follow(work, () => done);
  const takesReason = running || !why || goesForward(deploy);
  return (
    <>
      {takesReason && <input className="reason" aria-label="Reason" maxLength={REASON_MAX} placeholder={waits ? "reason, if you like" : running ? "reason to stop it" : why ? "reason to roll forward" : "reason to roll back"} value={reason} onChange={(event) => setReason(event.target.value)} />}
      {deploy.state === "awaiting_approval" && (
        <ActionButton look="primary" busy={busy} why={whyNotApprove(deploy, person)} onClick={() => act((number) => deploys.approve(number), `You approved deploy ${deploy.number}.`)}>
          Approve
        </ActionButton>
      )}
      {waits && <ActionButton look="primary" busy={busy} onClick={() => act(deploys.promote, `Deploy ${deploy.number} goes on.`)}>Promote</ActionButton>}
      {(waits || flips) && (
        <ActionButton look="danger" busy={busy} onClick={() => act(deploys.abort, `Deploy ${deploy.number} is being undone.`)}>
          {deploy.kind === "deploy" ? "Abort and roll back" : "Abort"}
        </ActionButton>
      )}
      {flips && (
        <ActionButton busy={busy} why={whyNotHold(deploy)} onClick={() => act(deploys.hold, `Deploy ${deploy.number} is held; promote or abort it.`)}>Hold</ActionButton>
      )}
      {running && !waits && !flips && (
        <ActionButton busy={busy} why={whyNotCancel(deploy)} onClick={() => act(deploys.cancel, `Deploy ${deploy.number} is being cancelled.`)}>
          Cancel
        </ActionButton>
      )}
      {isRetried(deploy) && (deploy.state !== "succeeded" || also.length === 0) && (
        <ActionButton busy={busy} onClick={() => void follow((number) => deploys.retry(number), (next) => `Deploy ${next.number} tries again.`)}>Retry</ActionButton>
      )}
      {goesForward(deploy) && (
        <ActionButton busy={busy} onClick={() => void follow((_, said) => deploys.forward(deploy.service, deploy.environment, said), (next) => `Deploy ${next.number} goes forward over it.`)}>
          Roll forward
        </ActionButton>
      )}
      <ActionButton look="danger" busy={busy} why={why} onClick={() => void follow(deploys.rollback, (next) => `Rollback ${next.number} has started.`)}>
        Roll back
      </ActionButton>
      {also.length > 0 && <span className="why">takes back {also.join(", ")} as well</span>}
    </>
  );
}
