import { useState, type ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import type { OnCall, Schedule, ScheduleSpan } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { addDays, clock, day, startOfDay } from "../../lib/time";
import { Loaded } from "../../ui/Section";

const DAYS = 14;

export interface Piece {
  who: string | null;
  /** Logins of all who are on call in it. */
  people: string[];
  from: number;
  to: number;
  override: boolean;
}

/** What of the shifts falls on the day that starts at `start`. */
export function piecesOf(shifts: OnCall[], start: number, end: number): Piece[] {
  return shifts
    .map((shift) => ({ shift, people: [shift.person, ...(shift.also ?? [])].flatMap((one) => (one ? [one.login] : [])) }))
    .map(({ shift, people }) => ({
      who: people.length > 0 ? people.join(" and ") : null,
      people,
      override: shift.override_id !== null && shift.override_id !== undefined,
      from: Math.max(start, shift.since ? Date.parse(shift.since) : start),
      to: Math.min(end, shift.until ? Date.parse(shift.until) : end),
    }))
    .filter(({ from, to }) => to > from);
}

const hours = (piece: Piece, start: number, end: number): string => {
  if (piece.from <= start && piece.to >= end) return "all day";
  if (piece.from <= start) return `until ${clock(piece.to)}`;
  if (piece.to >= end) return `from ${clock(piece.from)}`;
  return `${clock(piece.from)}–${clock(piece.to)}`;
};

/** The same of a preview, which tells of any time. */
export function piecesOfSpans(spans: ScheduleSpan[], start: number, end: number): Piece[] {
  return spans
    .map(({ people, overrides, gap, since, until }) => ({
      who: gap ? null : people.join(" and "),
      people,
      override: overrides.length > 0,
      from: Math.max(start, Date.parse(since)),
      to: Math.min(end, Date.parse(until)),
    }))
    .filter(({ from, to }) => to > from);
}

function Days({ name, today, first, now, me, piecesIn }: { name: string; today: number; first: number; now: number; me: string; piecesIn: (start: number, end: number) => Piece[] }): ReactElement {
  const label = first === today ? `${name}, the next ${DAYS} days` : `${name}, ${DAYS} days from ${day(first)}`;
  return (
    <div className="calendar" role="list" aria-label={label} tabIndex={0}>
      {Array.from({ length: DAYS }, (_, index) => {
        const start = addDays(first, index);
        const end = addDays(first, index + 1);
        const from = start === today ? Math.min(now, end) : start;
        return (
          <div key={start} role="listitem" className={start === today ? "calendar-day today" : "calendar-day"}>
            <p className="calendar-name">{start === today ? "Today" : day(start)}</p>
            {piecesIn(from, end).map((piece) => (
              <span
                key={piece.from}
                className={["shift", piece.who === null ? "gap" : piece.people.includes(me) ? "" : "other", piece.override ? "override" : ""].filter(Boolean).join(" ")}
                title={`${piece.who ?? "nobody"}, ${hours(piece, from, end)}${piece.override ? ", by an override" : ""}`}
              >
                <span className="strong">{piece.who ?? "nobody"}</span>
                {piece.override && <span className="sr-only"> (override)</span>}
                <br />
                <span className="small muted">{hours(piece, from, end)}</span>
              </span>
            ))}
          </div>
        );
      })}
    </div>
  );
}

/** Fourteen days of another time than now. */
function OtherDays({ schedule, first, today, now, me }: { schedule: Schedule; first: number; today: number; now: number; me: string }): ReactElement {
  const from = new Date(first).toISOString();
  const query = useQuery(`preview/${schedule.name}/${from}/${DAYS}`, () => oncall.preview(schedule.name, { from, days: DAYS }), { touches: ["schedule.", "override.", "swap.", "config."] });
  return <Loaded query={query}>{(preview) => <Days name={schedule.name} today={today} first={first} now={now} me={me} piecesIn={(start, end) => piecesOfSpans(preview.spans, start, end)} />}</Loaded>;
}

/** Fourteen days, one column each: the next, and on request those before and behind. */
export function Calendar({ schedule, me }: { schedule: Schedule; me: string }): ReactElement {
  const now = useNow(60_000);
  const [page, setPage] = useState(0);
  const today = startOfDay(now);
  const first = addDays(today, page * DAYS);
  const shifts = schedule.next.length > 0 || !schedule.on_call ? schedule.next : [schedule.on_call];
  return (
    <div className="stack">
      {page === 0
        ? <Days name={schedule.name} today={today} first={first} now={now} me={me} piecesIn={(start, end) => piecesOf(shifts, start, end)} />
        : <OtherDays schedule={schedule} first={first} today={today} now={now} me={me} />}
      <div className="buttons">
        <button type="button" className="button small" aria-label={`Earlier days of ${schedule.name}`} onClick={() => setPage(page - 1)}>Earlier</button>
        <button type="button" className="button small" aria-label={`Later days of ${schedule.name}`} onClick={() => setPage(page + 1)}>Later</button>
        {page !== 0 && <button type="button" className="button small" aria-label={`The next days of ${schedule.name}`} onClick={() => setPage(0)}>Now</button>}
      </div>
    </div>
  );
}
