import type { ReactElement } from "react";
import { flags } from "../../../api/endpoints";
import { useQuery } from "../../../api/useQuery";
import { duration } from "../../../lib/time";
import { Empty } from "../../../ui/basics";
import { Loaded, PageFrame, Section } from "../../../ui/Section";
import { FlagNav } from "../FlagNav";
import { asked } from "../Guard";
import { RequestItem } from "../Requests";
import { ScheduleItem } from "../Schedule";

const EDITED = "tenfold apply DIR";

/** What waits over all flags: for a second person, for its instant; and the plans that ramps share. */
export default function ChangesPage(): ReactElement {
  const requests = useQuery("requests", () => flags.requests({}), { touches: ["flag."] });
  const schedules = useQuery("schedules", () => flags.schedules({ state: "pending" }), { touches: ["flag.schedule", "flag.change"] });
  const plans = useQuery("ramp-plans", flags.plans, { touches: ["ramp_plan."] });
  return (
    <PageFrame title="Planned changes" sub="What waits for a second person or for its instant">
      <FlagNav />
      <div className="columns">
        <div className="stack">
          <Section title="Change requests">
            <Loaded query={requests}>
              {({ items }) => {
                const shown = [...items].sort((a, b) => Number(b.state === "pending") - Number(a.state === "pending") || b.number - a.number).slice(0, 20);
                return shown.length === 0
                  ? <Empty title="No change waits for a second person">An admin turns that on for an environment: the file environments/production.yaml with four_eyes: true.</Empty>
                  : <div className="panel pad"><ul className="stack">{shown.map((request) => <RequestItem key={request.number} request={request} named />)}</ul></div>;
              }}
            </Loaded>
          </Section>
        </div>
        <div className="stack">
          <Section title="Scheduled">
            <Loaded query={schedules}>
              {({ items }) => (items.length === 0
                ? <Empty title="Nothing is scheduled" command="tenfold flag schedule KEY on --at 2h" />
                : <div className="panel pad"><ul className="stack tight">{[...items].reverse().map((schedule) => <ScheduleItem key={schedule.number} schedule={schedule} named />)}</ul></div>)}
            </Loaded>
          </Section>
          <Section title="Ramp plans">
            <Loaded query={plans}>
              {({ items }) => (items.length === 0
                ? <Empty title="No plan is shared yet" command={EDITED}>A plan is a file ramp-plans/NAME.yaml with its steps and guard.</Empty>
                : (
                  <div className="panel pad">
                    <ul className="stack">
                      {items.map((plan) => (
                        <li key={plan.name} className="stack tight">
                          <p><strong>{plan.name}</strong>{plan.description && <span className="muted"> {plan.description}</span>}</p>
                          <p>{plan.steps.map((step) => `${step.percent} %${step.hold_ms ? ` for ${duration(step.hold_ms)}` : ""}`).join(", ")}</p>
                          {plan.guard ? <pre className="expression">{asked(plan.guard)}</pre> : <span className="muted">No guard.</span>}
                        </li>
                      ))}
                    </ul>
                  </div>
                ))}
            </Loaded>
          </Section>
        </div>
      </div>
    </PageFrame>
  );
}
