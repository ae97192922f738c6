import { useState, type ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import type { Schedule } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { HOUR_MS } from "../../lib/time";
import { useSession } from "../../shell/session";
import { Time } from "../../ui/basics";
import { Loaded } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

const hours = (ms: number): string => `${Math.round(ms / HOUR_MS)} h`;

/** Shares by each person's own clock, for the people of the schedule alone, in the order of names. */
function Shares({ schedule }: { schedule: Schedule }): ReactElement {
  const query = useQuery(`fairness/${schedule.name}`, () => oncall.fairness(schedule.name));
  return (
    <Loaded query={query}>
      {({ people }) => (
        <TableWrap>
          <table className="stacks">
            <thead><tr><th scope="col">Last 84 days</th><th scope="col">On call</th><th scope="col">Nights</th><th scope="col">Weekends</th><th scope="col">Holidays</th><th scope="col">Pages</th></tr></thead>
            <tbody>
              {people.map((share) => (
                <tr key={share.person.login}>
                  <td>{share.person.name} <span className="muted">{share.timezone}</span></td>
                  <td data-what="on call">{hours(share.total_ms)}</td><td data-what="nights">{hours(share.night_ms)}</td><td data-what="weekends">{hours(share.weekend_ms)}</td><td data-what="holidays">{hours(share.holiday_ms)}</td>
                  <td data-what="pages">{share.pages}{share.night_pages > 0 ? `, ${share.night_pages} at night` : ""}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableWrap>
      )}
    </Loaded>
  );
}

function Digest({ schedule }: { schedule: Schedule }): ReactElement {
  const query = useQuery(`digest/${schedule.name}`, () => oncall.digest(schedule.name), { touches: ["alert.", "mute.", "incident.", "page."] });
  return (
    <Loaded query={query}>
      {(digest) => {
        const lines = [
          ...digest.open.map((line) => `Open: ${line}`), ...digest.short_rests, ...digest.fired, ...digest.muted,
        ];
        return (
          <div className="stack">
            <p>Since <Time at={digest.from} show="both" />: {digest.pages} {digest.pages === 1 ? "page" : "pages"}.</p>
            {digest.truncated && <p>There was more than is listed here: {digest.fired_count} alerts fired, {digest.open_count} incidents are open.</p>}
            {lines.length === 0 ? <p className="muted">Nothing fired, nothing was muted, nothing is open.</p> : <ul>{lines.map((line, index) => <li key={index}>{line}</li>)}</ul>}
          </div>
        );
      }}
    </Loaded>
  );
}

/** What the next one should know, and how the load is shared; asked for when somebody opens it. */
export function Handoff({ schedule }: { schedule: Schedule }): ReactElement {
  const { person } = useSession();
  const [open, setOpen] = useState<"digest" | "shares" | null>(null);
  const toggle = (what: "digest" | "shares"): void => setOpen(open === what ? null : what);
  return (
    <div className="stack">
      <p className="muted">
        {(schedule.plan.handoff?.digest ?? true)
          ? `Whoever comes on call${schedule.plan.handoff?.channel ? ` and ${schedule.plan.handoff.channel}` : ""} ${schedule.plan.handoff?.channel ? "are" : "is"} told of the shift before at each handover.`
          : "Nobody is told of the shift before at a handover."}
      </p>
      <div className="buttons">
        <button type="button" className="button small" aria-expanded={open === "digest"} onClick={() => toggle("digest")}>Handoff digest</button>
        {schedule.people.includes(person.login) && <button type="button" className="button small" aria-expanded={open === "shares"} onClick={() => toggle("shares")}>Fair shares</button>}
      </div>
      {open === "digest" && <Digest schedule={schedule} />}
      {open === "shares" && <Shares schedule={schedule} />}
    </div>
  );
}
