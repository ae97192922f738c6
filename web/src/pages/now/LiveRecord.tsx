import type { ReactElement } from "react";
import type { RecordEvent } from "../../api/types";
import { useNow } from "../../lib/clock";
import { EventLine } from "../../parts/EventRow";
import { useRecord } from "../../parts/useRecord";
import { Link } from "../../router/Link";
import { Section } from "../../ui/Section";

const ROWS_MAX = 24;
const QUERY = { limit: 40 };
const notDebug = (event: RecordEvent): boolean => event.severity !== "debug";

/** The newest sentences of the record. */
export function LiveRecord(): ReactElement {
  const { rows } = useRecord(QUERY, notDebug);
  const now = useNow(60_000);
  const shown = rows.filter(notDebug).slice(0, ROWS_MAX);
  return (
    <Section title="The record" end={<Link to="/timeline">Timeline</Link>}>
      {shown.length === 0 ? (
        <p className="muted">Nothing has happened yet.</p>
      ) : (
        <ol>{shown.map((event) => <EventLine key={event.seq} event={event} now={now} />)}</ol>
      )}
    </Section>
  );
}
