import type { ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { zone } from "../../lib/time";
import { Empty } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { MyShifts } from "./MyShifts";
import { NewSchedule } from "./NewSchedule";
import { OnCallTabs } from "./OnCallTabs";
import { Policies } from "./Policies";
import { ScheduleSection } from "./ScheduleSection";
import { Swaps } from "./SwapDialog";

/** Who is on, who is next, and who is asked when they do not answer. */
export default function OnCallPage(): ReactElement {
  const query = useQuery("schedules", oncall.schedules, { touches: ["schedule.", "override.", "config."], everyMs: 60_000 });
  return (
    <PageFrame title="On-call" sub={`Times are in ${zone}.`} actions={<NewSchedule />}>
      <OnCallTabs current="schedules" />
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="There is no schedule yet." command="tenfold apply demo/config">A schedule is a file: people, the length of a shift, the hour of the handoff.</Empty>
          ) : (
            <>
              <Swaps />
              {items.map((schedule) => <ScheduleSection key={schedule.name} schedule={schedule} />)}
              <div className="columns even">
                <MyShifts schedules={items} />
                <Section title="Escalation policies"><Policies /></Section>
              </div>
            </>
          )
        }
      </Loaded>
    </PageFrame>
  );
}
