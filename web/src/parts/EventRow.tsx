import { useState, type ReactElement } from "react";
import type { RecordEvent } from "../api/types";
import { severityLook, SHAPE } from "../lib/status";
import { absolute, clockWithSeconds, stamp } from "../lib/time";
import { plural } from "../lib/units";
import { Link } from "../router/Link";
import { Copy } from "../ui/basics";
import { subjectAddress } from "./subject";

function Severity({ event }: { event: RecordEvent }): ReactElement | null {
  const look = severityLook(event.severity);
  if (look === "quiet") return null;
  return (
    <span className={`look-${look}`}>
      <span aria-hidden="true">{SHAPE[look]} </span>
      <span className="sr-only">{event.severity}: </span>
    </span>
  );
}

function More({ event }: { event: RecordEvent }): ReactElement {
  const address = subjectAddress(event);
  const facts: [string, string | number | null | undefined][] = [
    ["Row", event.seq],
    ["Happened", absolute(event.occurred_at)],
    ["Written", absolute(event.recorded_at)],
    ["Who", `${event.actor.kind} ${event.actor.id}`],
    ["Through", event.source],
    ["Belongs to", event.correlation],
  ];
  const data = event.data === null || event.data === undefined ? "" : JSON.stringify(event.data, null, 2);
  return (
    <div className="event-more">
      <dl className="facts">
        {facts.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd className="wrap-any">{value}</dd>
          </div>
        ))}
        <dt>About</dt>
        <dd>{Object.entries(event.subject).filter(([, value]) => value !== null).map(([name, value]) => `${name} ${String(value)}`).join(", ") || "nothing in particular"}</dd>
        <dt>Hash</dt>
        <dd className="mono wrap-any">{event.hash}</dd>
        <dt>Hash before</dt>
        <dd className="mono wrap-any">{event.prev_hash}</dd>
      </dl>
      {data && <pre className="pre">{data}</pre>}
      <div className="buttons">
        {address && <Link className="button small" to={address}>Open</Link>}
        {event.correlation && <Link className="button small" to={`/timeline?correlation=${encodeURIComponent(event.correlation)}`}>All of {event.correlation}</Link>}
        <Copy text={JSON.stringify(event)} label="Copy as JSON" />
      </div>
    </div>
  );
}

/** One row of the record; a click opens its data and its hash. */
export function EventRow({ event }: { event: RecordEvent }): ReactElement {
  const [open, setOpen] = useState(false);
  return (
    <li>
      <button type="button" className="event" aria-expanded={open} onClick={() => setOpen(!open)}>
        <time dateTime={event.occurred_at} title={absolute(event.occurred_at)} className="nowrap muted">{clockWithSeconds(event.occurred_at)}</time>
        <span className="kind">{event.kind}</span>
        <span className="what"><Severity event={event} />{event.text}</span>
        <span className="who">{event.actor.id}</span>
      </button>
      {open && <More event={event} />}
    </li>
  );
}

interface EventLineProps {
  event: RecordEvent;
  now: number;
  seconds?: boolean;
  /** How many rows of the same run stand behind this one. */
  more?: number;
}

/** A row where there is little room: clock and sentence, leading to the thing itself. */
export function EventLine({ event, now, seconds = false, more = 0 }: EventLineProps): ReactElement {
  const address = subjectAddress(event) ?? `/timeline?rows=${event.seq}`;
  return (
    <li className="event short">
      <time dateTime={event.occurred_at} title={absolute(event.occurred_at)} className="nowrap muted">{stamp(event.occurred_at, now, seconds)}</time>
      <span className="what">
        <Severity event={event} />
        <Link to={address}>{event.text}</Link>
        {more > 0 && event.correlation && <> <Link className="small muted" to={`/timeline?correlation=${encodeURIComponent(event.correlation)}`}>and {plural(more, "row")} before it</Link></>}
      </span>
    </li>
  );
}
