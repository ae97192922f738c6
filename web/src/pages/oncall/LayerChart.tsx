import { useState, type ReactElement } from "react";
import { oncall } from "../../api/endpoints";
import type { Schedule, SchedulePreview, ScheduleSpan } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { addDays, clock, day, duration, startOfDay } from "../../lib/time";
import { Status } from "../../ui/basics";
import { Loaded } from "../../ui/Section";
import { Unnamed } from "./CalendarState";
import { between } from "./rest";

const DAYS = [7, 14, 28, 90];
const DAYS_AT_FIRST = 14;
/** A name is written where it has room. */
const PERCENT_FOR_TEXT = 5;
/** Gaps, overlaps and short rests that are named one by one. */
const NAMED_MAX = 3;
/** Marks on the scale. */
const MARKS = 7;

const said = (span: ScheduleSpan): string => (span.gap ? "nobody" : span.people.join(" and ")) + (span.fallback ? " (fallback)" : "");

function Bar({ name, spans, from, to, result }: { name: string; spans: ScheduleSpan[]; from: number; to: number; result?: boolean }): ReactElement {
  return (
    <>
      <span className={result ? "layer-name strong" : "layer-name muted"}>{name}</span>
      <div className="layer-bar" role="list" aria-label={name}>
        {spans.map((span) => {
          const [start, end] = [Math.max(from, Date.parse(span.since)), Math.min(to, Date.parse(span.until))];
          const width = ((end - start) / (to - from)) * 100;
          if (width <= 0) return null;
          const kind = span.gap ? "gap" : span.overlap ? "overlap" : span.overrides.length > 0 ? "override" : span.fallback ? "fallback" : "";
          const text = `${said(span)}, ${day(start)} ${clock(start)} to ${day(end)} ${clock(end)}${span.shadows.length > 0 ? `, in copy ${span.shadows.join(", ")}` : ""}`;
          return (
            <span key={span.since} role="listitem" className={`layer-span ${kind}`} title={text} style={{ left: `${((start - from) / (to - from)) * 100}%`, width: `${width}%` }}>
              <span className="sr-only">{text}</span>
              {width > PERCENT_FOR_TEXT && <span aria-hidden="true">{said(span)}</span>}
            </span>
          );
        })}
      </div>
    </>
  );
}

const stretch = ({ since, until }: ScheduleSpan): string => `${day(since)} ${clock(since)} to ${day(until)} ${clock(until)}`;

/** When it is so: over 90 days an hour is too narrow to be seen on the bar. */
function Stretches({ words, spans }: { words: string; spans: ScheduleSpan[] }): ReactElement | null {
  if (spans.length === 0) return null;
  return <p className="small muted">{words} {spans.slice(0, NAMED_MAX).map(stretch).join("; ")}{spans.length > NAMED_MAX && ` and ${spans.length - NAMED_MAX} times more`}.</p>;
}

/** Each layer and what comes of them, over the same time. */
export function LayerBars({ preview }: { preview: SchedulePreview }): ReactElement {
  const [from, to] = [Date.parse(preview.from), Date.parse(preview.to)];
  const marks = Array.from({ length: MARKS }, (_, index) => from + ((to - from) * index) / MARKS);
  const { gap_ms, overlap_ms, fallback_ms, short_rests } = preview;
  return (
    <div className="stack">
      <div className="layer-chart" tabIndex={0} role="group" aria-label={`Layers of ${preview.schedule}`}>
        <span />
        <div className="layer-scale" aria-hidden="true">{marks.map((mark) => <span key={mark}>{day(mark)}</span>)}</div>
        {preview.layers.map((layer) => <Bar key={layer.name} name={layer.name} spans={layer.spans} from={from} to={to} />)}
        <Bar name="On call" spans={preview.spans} from={from} to={to} result />
      </div>
      <p className="buttons">
        {gap_ms > 0 ? <Status look="critical">Nobody for {duration(gap_ms)}</Status> : <Status look="ok">No gap</Status>}
        {overlap_ms > 0 && <Status look="warning">Two or more people for {duration(overlap_ms)}</Status>}
        {fallback_ms > 0 && <Status look="warning">The fallback for {duration(fallback_ms)}</Status>}
        {short_rests.slice(0, NAMED_MAX).map((rest) => (
          <Status key={rest.person + rest.to} look="warning">{rest.person} rests {duration(Date.parse(rest.to) - Date.parse(rest.from))} before {day(rest.to)} {clock(rest.to)}, less than {rest.min_rest_hours} h{between(rest)}</Status>
        ))}
        {short_rests.length > NAMED_MAX && <span className="muted">and {short_rests.length - NAMED_MAX} more short rests</span>}
      </p>
      <Stretches words="Nobody is on call" spans={preview.spans.filter(({ gap }) => gap)} />
      <Stretches words="Two or more people are on call" spans={preview.spans.filter(({ overlap }) => overlap)} />
      {preview.calendar && <Unnamed calendar={preview.calendar} />}
      {preview.calendar?.until && Date.parse(preview.calendar.until) < to && <p className="muted">The calendar is read until {day(preview.calendar.until)}; what it says behind that is not known yet.</p>}
      {preview.truncated && <p className="muted">There are more stretches than a preview lists; look over fewer days.</p>}
    </div>
  );
}

/** The layers of a stored schedule over the weeks to come. */
export function LayerChart({ schedule }: { schedule: Schedule }): ReactElement {
  const [days, setDays] = useState(DAYS_AT_FIRST);
  const [page, setPage] = useState(0);
  const from = new Date(addDays(startOfDay(Date.now()), page * days)).toISOString();
  const query = useQuery(`preview/${schedule.name}/${from}/${days}`, () => oncall.preview(schedule.name, { from, days }), { touches: ["schedule.", "override.", "swap.", "config."] });
  return (
    <div className="stack layers">
      <div className="buttons">
        <h3>Layers</h3>
        <span className="right buttons">
          <label>Over <select aria-label={`Days of ${schedule.name}`} value={days} onChange={(event) => { setDays(Number(event.target.value)); setPage(0); }}>{DAYS.map((n) => <option key={n} value={n}>{n} days</option>)}</select></label>
          <button type="button" className="button small" onClick={() => setPage(page - 1)}>Earlier</button>
          <button type="button" className="button small" onClick={() => setPage(page + 1)}>Later</button>
        </span>
      </div>
      <Loaded query={query}>{(preview) => <LayerBars preview={preview} />}</Loaded>
    </div>
  );
}
