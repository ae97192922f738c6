import type { ReactElement } from "react";
import { deploys, flags } from "../api/endpoints";
import type { Suspect } from "../api/types";
import { useAction } from "../lib/useAction";
import { Link } from "../router/Link";
import { navigate } from "../router/router";
import { useLacks } from "../shell/session";
import { Time } from "../ui/basics";
import { ActionButton } from "../ui/Action";
import { undoOf } from "./undo";
import { useRecentDeploys } from "./useRecentDeploys";

const addressOf = (suspect: Suspect): string =>
  suspect.kind === "deploy" && suspect.number ? `/deploys/${suspect.number}` : suspect.flag ? `/flags/${encodeURIComponent(suspect.flag)}` : `/timeline?rows=${suspect.seq}`;

function Undo({ suspect, service, environment }: { suspect: Suspect; service: string | null | undefined; environment: string }): ReactElement | null {
  const recent = useRecentDeploys(suspect.kind === "deploy" ? service : null, environment);
  const { busy, run } = useAction("deploy.", "flag.");
  const [lacksFlip, lacksDeploy] = [useLacks("responder"), useLacks("deployer")];
  if (suspect.kind === "flip" && suspect.flag) {
    const key = suspect.flag;
    return (
      <ActionButton small look="danger" busy={busy} tight why={lacksFlip} label={`Flag off: ${key} in ${environment}`} onClick={() => void run(() => flags.switch(key, environment, false), `Flag ${key} is off in ${environment}.`)}>
        Flag off
      </ActionButton>
    );
  }
  if (suspect.kind === "deploy" && suspect.number) {
    const number = suspect.number;
    const start = async (): Promise<void> => {
      const started = await run(() => deploys.rollback(number), (deploy) => `Rollback ${deploy.number} of deploy ${number} has started.`);
      if (started) navigate(`/deploys/${started.number}`);
    };
    const { why, also } = suspect.rollback ? { why: "It is a rollback itself.", also: [] } : undoOf(number, recent);
    return (
      <ActionButton small look="danger" busy={busy} label={`Roll back deploy ${number}${also.length > 0 ? ` and ${also.join(", ")}` : ""}`} tight why={lacksDeploy ?? why} onClick={() => void start()}>
        Roll back
      </ActionButton>
    );
  }
  return null;
}

interface SuspectsProps {
  suspects: Suspect[];
  service?: string | null | undefined;
  environment?: string | null | undefined;
  /** The symptom is gone: nothing is offered to undo any more. */
  over?: boolean;
  /** Show only so many, the rest by number. */
  most?: number;
}

/** The changes that came shortly before a symptom, each with its way back. A switch is cheaper than a rollback, so flips stand first. */
export function Suspects({ suspects, service, environment, over, most = Infinity }: SuspectsProps): ReactElement | null {
  if (suspects.length === 0) return null;
  const ordered = [...suspects].sort((a, b) => Number(b.kind === "flip") - Number(a.kind === "flip") || Date.parse(b.at) - Date.parse(a.at));
  return (
    <ul className="suspects" aria-label="Changes shortly before">
      {ordered.slice(0, most).map((suspect) => (
        <li key={suspect.seq} className="suspect">
          {!over && <Undo suspect={suspect} service={service} environment={environment ?? "production"} />}
          <span className="what">
            <Link to={addressOf(suspect)}>{suspect.text}</Link>{" "}
            <span className="muted">{suspect.actor_name}, <Time at={suspect.at} /></span>
          </span>
        </li>
      ))}
      {ordered.length > most && <li className="muted">and {ordered.length - most} more</li>}
    </ul>
  );
}
