import type { ReactElement } from "react";
import { services } from "../../../api/endpoints";
import type { Deploy } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { stepLook } from "../../../lib/status";
import { ladder } from "../../../parts/steps";
import { Elapsed, Status } from "../../../ui/basics";
import { planned } from "../service/stages";

/** The steps of a deploy: those it took, where it is now, and what those to come will do and where. */
export function DeployPlan({ deploy }: { deploy: Deploy }): ReactElement | null {
  const ahead = deploy.kind === "deploy" && !deploy.finished_at;
  // The plan of a commit is the same all the while; once is enough.
  const query = useQuery(ahead ? `plan:${deploy.number}` : null, () => services.next(deploy.service, deploy.environment, deploy.to_sha));
  const words = planned(deploy, query.data?.plan ?? []);
  const rungs = ladder(deploy);
  if (rungs.length === 0) return null;
  return (
    <ol className="steps" aria-label="Steps">
      {rungs.map(({ name, state, started_at, finished_at }, index) => {
        const [look, word] = stepLook(state);
        const plan = ahead && !finished_at ? words.get(name) : undefined;
        return (
          <li key={`${index}-${name}`} className={`step look-${look}-edge`} aria-current={state === "running" ? "step" : undefined}>
            <span className="strong">{name}</span>
            <span className="small">
              <Status look={look}>{word}</Status>{" "}
              <span className="muted">{started_at && <Elapsed from={started_at} to={finished_at} />}</span>
            </span>
            {plan?.where && <span className="small" title={plan.hosts.map((batch) => batch.join(", ")).join("; ")}>{plan.where}</span>}
            {plan && <span className="small muted wrap-any">{plan.says}</span>}
          </li>
        );
      })}
    </ol>
  );
}
