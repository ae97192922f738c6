import { useState, type ReactElement } from "react";
import { oncall, people } from "../../api/endpoints";
import type { Schedule } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Time } from "../../ui/basics";
import { Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

/** When I am on, and whether a page would reach me. */
export function MyShifts({ schedules }: { schedules: Schedule[] }): ReactElement {
  const { person } = useSession();
  const { busy, run } = useAction("page.");
  const [address, setAddress] = useState<string | null>(null);
  const renew = async (): Promise<void> => {
    const made = await run(() => oncall.renewCalendar(person.login), "The address before ends.");
    if (made) setAddress(made.url);
  };
  const mine = schedules
    .flatMap((schedule) => schedule.next.filter((shift) => shift.person?.login === person.login).map((shift) => ({ ...shift, schedule: schedule.name })))
    .sort((a, b) => Date.parse(a.since ?? "") - Date.parse(b.since ?? ""));
  const { email, irc, webhook } = person.contact ?? {};
  const ways = [email ? `mail to ${email}` : "", irc ? `IRC as ${irc}` : "", webhook ? "webhook" : "", "this page"].filter(Boolean);
  return (
    <Section title="My on-call">
      {mine.length === 0 ? (
        <p className="muted">You have no shift in the next 14 days.</p>
      ) : (
        <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">Schedule</th><th scope="col">From</th><th scope="col">Until</th></tr></thead>
          <tbody>
            {mine.map((shift) => (
              <tr key={`${shift.schedule}-${shift.since}`}>
                <td>{shift.schedule}</td><td><Time at={shift.since} show="both" /></td><td><Time at={shift.until} show="both" /></td>
              </tr>
            ))}
          </tbody>
        </table>
        </TableWrap>
      )}
      <p>A page reaches you by {ways.join(", ")}. <Link className="inline-link" to="/settings/me">Change</Link></p>
      {address && <p role="status">Your calendar, shown this once: <code className="wrap">{address}</code></p>}
      <div className="buttons">
      <ActionButton busy={busy} onClick={() => void renew()}>New calendar address</ActionButton>
      <ActionButton busy={busy} onClick={() => void run(() => people.testPage(person.login), "A test page is on its way to you.")}>Page me as a test</ActionButton>
      </div>
    </Section>
  );
}
