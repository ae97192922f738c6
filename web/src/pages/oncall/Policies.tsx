import { useState, type ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import type { EscalationPolicy } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { duration } from "../../lib/time";
import { useLacks } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Empty } from "../../ui/basics";
import { Loaded } from "../../ui/Section";
import { PolicyDialog } from "./PolicyDialog";

const words = ({ kind, name, offset }: EscalationPolicy["steps"][number]["targets"][number]): string => {
  if (kind === "person") return name;
  if (kind === "team") return `everybody in ${name}`;
  return offset ? `number ${offset} behind whoever is on ${name}` : `whoever is on ${name}`;
};

/** Each policy as the ladder a page climbs until somebody acknowledges. */
export function Policies(): ReactElement {
  const query = useQuery("policies", oncall.policies, { touches: ["policy.", "config."] });
  const [open, setOpen] = useState<{ policy: EscalationPolicy | null } | null>(null);
  const why = useLacks("deployer", true);
  return (
    <Loaded query={query}>
      {({ items }) => (
          <div className="stack">
            {items.length === 0 && <Empty title="No escalation policy: incidents page nobody." command="tenfold apply demo/config" />}
            {items.map((policy) => {
              let after = 0;
              return (
                <div key={policy.name}>
                  <div className="section-head">
                    <h3>{policy.name}</h3>
                    <span className="end"><ActionButton small why={why} tight label={`Edit the policy ${policy.name}`} onClick={() => setOpen({ policy })}>Edit</ActionButton></span>
                  </div>
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
                    {policy.ack_timeout_ms ? <li><span className="muted">acknowledged</span><span>for {duration(policy.ack_timeout_ms)}, then all of it again unless it is over</span></li> : null}
                  </ol>
                </div>
              );
            })}
            <div><ActionButton why={why} onClick={() => setOpen({ policy: null })}>New policy</ActionButton></div>
            {open && <PolicyDialog policy={open.policy} onClose={() => setOpen(null)} />}
          </div>
      )}
    </Loaded>
  );
}
