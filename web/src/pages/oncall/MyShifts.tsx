import type { ReactElement } from "react";
import type { OnCall, Schedule } from "../../api/types";
import { Link } from "../../router/Link";
import { useSession } from "../../shell/session";
import { Time } from "../../ui/basics";
import { Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { waysInWords } from "./ways";

export const shiftsOf = (schedules: Schedule[], login: string): (OnCall & { schedule: string })[] =>
  schedules
    .flatMap((schedule) => schedule.next.filter((shift) => shift.person?.login === login || shift.also?.some((one) => one.login === login)).map((shift) => ({ ...shift, schedule: schedule.name })))
    .sort((a, b) => Date.parse(a.since ?? "") - Date.parse(b.since ?? ""));

export function ShiftTable({ shifts }: { shifts: (OnCall & { schedule: string })[] }): ReactElement {
  if (shifts.length === 0) return <p className="muted">You have no shift in the next 14 days.</p>;
  return (
    <TableWrap>
      <table className="stacks">
        <thead><tr><th scope="col">Schedule</th><th scope="col">From</th><th scope="col">Until</th></tr></thead>
        <tbody>
          {shifts.map((shift) => (
            <tr key={`${shift.schedule}-${shift.since}`}>
              <td>{shift.schedule}</td><td><Time at={shift.since} show="both" /></td><td><Time at={shift.until} show="both" /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableWrap>
  );
}

/** When I am on, and by what a page would reach me. */
export function MyShifts({ schedules }: { schedules: Schedule[] }): ReactElement {
  const { person } = useSession();
  return (
    <Section title="My on-call" end={<Link to="/on-call/me">More of me</Link>}>
      <ShiftTable shifts={shiftsOf(schedules, person.login)} />
      <p>A page reaches you by {waysInWords(person)}. <Link className="inline-link" to="/settings/me">Change</Link></p>
    </Section>
  );
}
