import type { ReactElement } from "react";
import { incidents } from "../../api/endpoints";
import type { TimelineEvent, TimelinePhase } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { EventLine } from "../../parts/EventRow";
import { Loaded, Section } from "../../ui/Section";

const NAMES: Record<TimelinePhase, string> = {
  deploy: "Change", first_errors: "First errors", alert: "Alert", page: "Page", acknowledged: "Acknowledged",
  mitigation: "Mitigation", recovery: "Recovery", note: "Note", other: "Also",
};

/** Neighbours of the same phase stand together; the order in time stays. */
export function phases(events: TimelineEvent[]): { phase: TimelinePhase; events: TimelineEvent[] }[] {
  const groups: { phase: TimelinePhase; events: TimelineEvent[] }[] = [];
  for (const event of [...events].sort((a, b) => Date.parse(a.occurred_at) - Date.parse(b.occurred_at) || a.seq - b.seq)) {
    const last = groups.at(-1);
    if (last && last.phase === event.phase) last.events.push(event);
    else groups.push({ phase: event.phase, events: [event] });
  }
  return groups;
}

/** Of the rows of one deploy only the last is told; it leads to the rest. */
export function told(events: TimelineEvent[]): { event: TimelineEvent; rows: number }[] {
  const lines: { event: TimelineEvent; rows: number }[] = [];
  for (const event of events) {
    const before = lines.findIndex((line) => line.event.correlation?.startsWith("deploy:") && line.event.correlation === event.correlation);
    const [taken] = before === -1 ? [] : lines.splice(before, 1);
    lines.push({ event, rows: (taken?.rows ?? 0) + 1 });
  }
  return lines;
}

/** The story of the incident, collected from the record by itself. */
export function IncidentTimeline({ number }: { number: number }): ReactElement {
  const now = useNow(60_000);
  const query = useQuery(`incident-timeline:${number}`, () => incidents.timeline(number), { touches: ["incident.", "page.", "alert.", "deploy.", "flag.", "note."] });
  return (
    <Section title="Timeline">
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="muted">Nothing was recorded around it yet.</p>
          ) : (
            <div className="phases">
              {phases(items).map((group) => (
                <div key={group.events[0]!.seq} className="phase">
                  <h3 className={group.phase === "first_errors" || group.phase === "alert" ? "look-critical" : group.phase === "recovery" ? "look-ok" : undefined}>{NAMES[group.phase] ?? group.phase}</h3>
                  <ol>{told(group.events).map(({ event, rows }) => <EventLine key={event.seq} event={event} now={now} seconds more={rows - 1} />)}</ol>
                </div>
              ))}
            </div>
          )
        }
      </Loaded>
    </Section>
  );
}
