import type { ReactElement } from "react";
import type { FollowedCalendar } from "../../api/types";
import { Status, Time } from "../../ui/basics";

/** Events that put nobody on call and are named one by one. */
const NAMED_MAX = 3;

/** What of a calendar puts nobody on call, though it should. */
export function Unnamed({ calendar }: { calendar: FollowedCalendar }): ReactElement | null {
  const { unnamed } = calendar;
  if (unnamed.length === 0) return null;
  return (
    <ul className="stack">
      {unnamed.slice(0, NAMED_MAX).map((event) => <li key={event}><Status look="warning">An event of the calendar {event}</Status></li>)}
      {unnamed.length > NAMED_MAX && <li className="muted">and {unnamed.length - NAMED_MAX} more events that put nobody on call</li>}
    </ul>
  );
}

/** How it stands with the calendar that a schedule follows. Of its address only the host is known here. */
export function CalendarState({ calendar }: { calendar: FollowedCalendar }): ReactElement {
  const { host, read_at, until, failing_since, failure, shifts } = calendar;
  return (
    <>
      <p>
        Follows the calendar at <span className="strong">{host}</span>{" "}
        {failing_since ? (
          <Status look="critical">Cannot be read since <Time at={failing_since} show="both" />: {failure}; {shifts > 0 ? "what it said last holds" : "nobody is on call by it"}</Status>
        ) : read_at ? (
          <span className="muted">read <Time at={read_at} />, known until <Time at={until} show="stamp" /></span>
        ) : (
          <Status look="unknown">Not read yet</Status>
        )}
      </p>
      <Unnamed calendar={calendar} />
    </>
  );
}
