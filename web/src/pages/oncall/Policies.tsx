import type { ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import type { EscalationPolicy } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { duration } from "../../lib/time";
import { Empty } from "../../ui/basics";
import { Loaded } from "../../ui/Section";

const words = ({ kind, name, offset }: EscalationPolicy["steps"][number]["targets"][number]): string => {
  if (kind === "person") return name;
  return offset ? `number ${offset} behind whoever is on ${name}` : `whoever is on ${name}`;
};

/** Each policy as the ladder a page climbs until somebody acknowledges. */
export function Policies(): ReactElement {
  const query = useQuery("policies", oncall.policies, { touches: ["policy.", "config."] });
  return (
    <Loaded query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title="No escalation policy: incidents page nobody." command="tenfold apply demo/config" />
        ) : (
          <div className="stack">
            {items.map((policy) => {
              let after = 0;
              return (
                <div key={policy.name}>
                  <h3>{policy.name}</h3>
                  <ol className="ladder">
                    {policy.deployer_first && (
                      <li><span className="muted">first</span><span>the deployer, for {duration(policy.deployer_first.delay_ms)}, when the service was deployed within {duration(policy.deployer_first.within_ms)}</span></li>
                    )}
                    {policy.steps.map((step, index) => {
                      const at = after;
                      after += step.delay_ms;
                      return (
                        <li key={`${index}-${at}`}>
                          <span className="muted">{at === 0 ? "at once" : `after ${duration(at)}`}</span>
                          <span>{step.targets.map(words).join(step.round_robin ? " or " : " and ")}{step.round_robin ? ", in turn" : ""}</span>
                        </li>
                      );
                    })}
                    {policy.repeat ? <li><span className="muted">then</span><span>again, {policy.repeat} {policy.repeat === 1 ? "time" : "times"}</span></li> : null}
                  </ol>
                </div>
              );
            })}
          </div>
        )
      }
    </Loaded>
  );
}
