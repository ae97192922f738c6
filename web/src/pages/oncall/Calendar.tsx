import type { ReactElement } from "react";
import type { OnCall, Schedule } from "../../api/types";
import { useNow } from "../../lib/clock";
import { addDays, clock, day, startOfDay } from "../../lib/time";

const DAYS = 14;

export interface Piece {
  who: string | null;
  from: number;
  to: number;
  override: boolean;
}

/** What of the shifts falls on the day that starts at `start`. */
export function piecesOf(shifts: OnCall[], start: number, end: number): Piece[] {
  return shifts
    .map((shift) => ({
      who: shift.person?.login ?? null,
      override: shift.override_id !== null && shift.override_id !== undefined,
      from: Math.max(start, shift.since ? Date.parse(shift.since) : start),
      to: Math.min(end, shift.until ? Date.parse(shift.until) : end),
    }))
    .filter(({ from, to }) => to > from)
    ;
}

const hours = (piece: Piece, start: number, end: number): string => {
  if (piece.from <= start && piece.to >= end) return "all day";
  if (piece.from <= start) return `until ${clock(piece.to)}`;
  if (piece.to >= end) return `from ${clock(piece.from)}`;
  return `${clock(piece.from)}–${clock(piece.to)}`;
};

/** The next fourteen days, one column each. */
export function Calendar({ schedule, me }: { schedule: Schedule; me: string }): ReactElement {
  const now = useNow(60_000);
  const today = startOfDay(now);
  const shifts = schedule.next.length > 0 || !schedule.on_call ? schedule.next : [schedule.on_call];
  return (
    <div className="calendar" role="list" aria-label={`${schedule.name}, the next ${DAYS} days`} tabIndex={0}>
      {Array.from({ length: DAYS }, (_, index) => {
        const start = addDays(today, index);
        const end = addDays(today, index + 1);
        const from = index === 0 ? Math.min(now, end) : start;
        const pieces = piecesOf(shifts, from, end);
        return (
          <div key={start} role="listitem" className={index === 0 ? "calendar-day today" : "calendar-day"}>
            <p className="calendar-name">{index === 0 ? "Today" : day(start)}</p>
            {pieces.map((piece) => (
              <span
                key={piece.from}
                className={["shift", piece.who === null ? "gap" : piece.who === me ? "" : "other", piece.override ? "override" : ""].filter(Boolean).join(" ")}
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
