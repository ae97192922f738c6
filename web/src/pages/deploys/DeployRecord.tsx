import { useMemo, type ReactElement } from "react";
import { record } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { EventLine } from "../../parts/EventRow";
import { Link } from "../../router/Link";
import { Loaded, Section } from "../../ui/Section";

const ROWS = 40;

/** What the record says of this deploy, newest first. */
export function DeployRecord({ number }: { number: number }): ReactElement {
  const correlation = `deploy:${number}`;
  const now = useNow(60_000);
  const query = useQuery(`of:${correlation}`, () => record.list({ deploy: number, limit: ROWS }), { touches: ["deploy."] });
  const address = useMemo(() => `/timeline?correlation=${encodeURIComponent(correlation)}`, [correlation]);
  return (
    <Section title="In the record" end={<Link to={address}>With data</Link>}>
      <Loaded query={query}>{({ items }) => <ol>{items.map((event) => <EventLine key={event.seq} event={event} now={now} />)}</ol>}</Loaded>
    </Section>
  );
}
