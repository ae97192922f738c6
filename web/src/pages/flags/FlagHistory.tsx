import type { ReactElement } from "react";
import { record } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { EventLine } from "../../parts/EventRow";
import { Link } from "../../router/Link";
import { Loaded, Section } from "../../ui/Section";

const ROWS = 30;

/** Who flipped it, when. */
export function FlagHistory({ flag }: { flag: string }): ReactElement {
  const correlation = `flag:${flag}`;
  const now = useNow(60_000);
  const query = useQuery(`of:${correlation}`, () => record.list({ flag, kind: "flag.", limit: ROWS }), { touches: ["flag."] });
  return (
    <Section title="History" end={<Link to={`/timeline?correlation=${encodeURIComponent(correlation)}`}>With data</Link>}>
      <Loaded query={query}>
        {({ items }) => (items.length === 0 ? <p className="muted">Never changed.</p> : <ol>{items.map((event) => <EventLine key={event.seq} event={event} now={now} />)}</ol>)}
      </Loaded>
    </Section>
  );
}
