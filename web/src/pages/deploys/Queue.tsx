/** Who waits to ship to a place, and where it stands in the order of stages. */
import type { ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import type { NextDeploy, NextStage } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Sha, Status, Time } from "../../ui/basics";

interface Place {
  service: string;
  environment: string;
}

/** Whether somebody who asks now has to wait: a deploy is on its way. One that is held is taken over from. */
export function waits(next: NextDeploy | undefined): boolean {
  return next?.running != null && !["held", "needs_human"].includes(next.running.state);
}

/** What the stages say of the commit: passed, or why it may not go here; and where it goes on to. */
export function stageWords(stage: NextStage): string {
  const before = stage.after && !stage.refused ? `Passed ${stage.after}` : "";
  const hold = stage.hold_s > 0 ? ` after ${stage.hold_s} s` : "";
  const then = stage.then ? (stage.auto ? `goes on to ${stage.then} by itself${hold}` : `then to ${stage.then}, when somebody deploys there`) : "";
  const words = [before, then].filter(Boolean).join("; ");
  return words === "" ? "" : `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

export function StageLine({ stage }: { stage: NextStage }): ReactElement {
  return (
    <p>
      {stage.refused && <Status look="warning">{stage.refused}</Status>}{" "}
      <span className="muted">{stageWords(stage)}</span>{" "}
      {stage.passed != null && <Link to={`/deploys/${stage.passed}`}>deploy {stage.passed}</Link>}
    </p>
  );
}

export function QueueLine({ service, environment, next }: Place & { next: NextDeploy | undefined }): ReactElement | null {
  const { busy, run } = useAction("deploy.", "queue.");
  const { person } = useSession();
  const query = useQuery("queues", () => deploys.queues(), { touches: ["deploy.", "queue.", "lock."], everyMs: 30_000 });
  const queue = query.data?.items.find((one) => one.service === service && one.environment === environment);
  const entries = queue?.entries ?? [];
  const mine = entries.some(({ actor, origin }) => origin === "ask" && actor.kind === "person" && actor.id === person.login);
  const ask = (): void => {
    void run(
      () => deploys.ask(service, environment),
      ({ deploy, waiting }) => (deploy ? `Deploy ${deploy.number} is queued.` : `You are number ${waiting?.position ?? 1} in the queue; it begins by itself.`),
    );
  };
  const join = !mine && (waits(next) || entries.length > 0) && (
    <ActionButton small busy={busy} label={`Queue mine: ${service} for ${environment}`} onClick={ask}>Queue mine</ActionButton>
  );
  if (!queue) return join ? <p className="buttons">{join}</p> : null;
  const say = (word: "leave" | "drop" | "go", of?: string): void => void run(() => deploys.sayToQueue(service, environment, word, of));
  return (
    <section aria-label={`Queue of ${service} to ${environment}`} className="stack">
      <p>
        <Status look={queue.stands ? "warning" : "quiet"}>{queue.stands ? "Queue stands" : "Queue"}</Status>{" "}
        <span className="muted">{queue.waits_for ? `waits for ${queue.waits_for}` : "the first begins now"}</span>
      </p>
      <ol className="stack">
        {entries.map(({ id, actor, actor_name, asked_at, not_before, origin, reason, sha }) => {
          const own = origin === "ask" && actor.kind === "person" && actor.id === person.login;
          return (
            <li key={id}>
              <Sha sha={sha} /> {actor_name} <span className="muted">{not_before ? <>not before <Time at={not_before} show="stamp" /></> : <>since <Time at={asked_at} /></>}{reason && `: ${reason}`}</span>{" "}
              {own
                ? <ActionButton small busy={busy} onClick={() => say("leave")}>Leave</ActionButton>
                : <ActionButton small busy={busy} label={`Take out ${actor_name}`} onClick={() => say("drop", actor.id)}>Take out</ActionButton>}
            </li>
          );
        })}
      </ol>
      <p className="buttons">
        {queue.stands && <ActionButton small look="primary" busy={busy} onClick={() => say("go")}>Let it go on</ActionButton>}
        {join}
      </p>
    </section>
  );
}
