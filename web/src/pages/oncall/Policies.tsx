import type { ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { duration } from "../../lib/time";
import { Empty } from "../../ui/basics";
import { Loaded } from "../../ui/Section";

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
                    {policy.steps.map((step, index) => {
                      const at = after;
                      after += step.delay_ms;
                      return (
                        <li key={`${index}-${at}`}>
                          <span className="muted">{at === 0 ? "at once" : `after ${duration(at)}`}</span>
                          <span>{step.targets.map((target) => (target.kind === "schedule" ? `whoever is on ${target.name}` : target.name)).join(" and ")}</span>
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
