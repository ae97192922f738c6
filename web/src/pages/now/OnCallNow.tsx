import type { ReactElement } from "react";
import type { Now } from "../../api/types";
import { Link } from "../../router/Link";
import { Empty, Status, Time } from "../../ui/basics";
import { Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

export function OnCallNow({ now }: { now: Now }): ReactElement {
  return (
    <Section title="On call" end={<Link to="/on-call">Calendar</Link>}>
      {now.on_call.length === 0 ? (
        <Empty title="Nobody is on call: there is no schedule." command="tenfold apply demo/config">
          A schedule is a file; apply one and the pages go to a person.
        </Empty>
      ) : (
        <TableWrap>
        <table>
          <thead>
            <tr><th scope="col">Schedule</th><th scope="col">Now</th><th scope="col">Until</th></tr>
          </thead>
          <tbody>
            {now.on_call.map((entry) => (
              <tr key={entry.schedule}>
                <td>{entry.schedule}</td>
                <td>
                  {entry.person ? <><span className="strong">{entry.person.name || entry.person.login}</span> <span className="tag">{entry.person.kind}</span></> : <Status look="warning">Nobody</Status>}
                </td>
                <td><Time at={entry.until} show="stamp" /></td>
              </tr>
            ))}
          </tbody>
        </table>
        </TableWrap>
      )}
    </Section>
  );
}
