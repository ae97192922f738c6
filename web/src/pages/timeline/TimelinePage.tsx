import { Fragment, useCallback, useMemo, type ReactElement } from "react";
import { record } from "../../api/endpoints";
import type { RecordEvent } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { day, sameDay } from "../../lib/time";
import { EventRow } from "../../parts/EventRow";
import { useRecord } from "../../parts/useRecord";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import { Empty, Loading, Problem } from "../../ui/basics";
import { Loaded, PageFrame } from "../../ui/Section";
import { FilterBar } from "./FilterBar";
import { accepts, readFilters, toQuery } from "./filters";
import { Histogram } from "./Histogram";

const ROWS = 200;

function Rows({ rows }: { rows: RecordEvent[] }): ReactElement {
  const now = useNow(60_000);
  return (
    <ol aria-label="Rows of the record">
      {rows.map((event, index) => {
        const before = rows[index - 1];
        const newDay = before ? !sameDay(before.occurred_at, event.occurred_at) : !sameDay(event.occurred_at, now);
        return (
          <Fragment key={event.seq}>
            {newDay && <li className="event-day">{day(event.occurred_at)}</li>}
            <EventRow event={event} />
          </Fragment>
        );
      })}
    </ol>
  );
}

/** Exactly these rows: what a figure was counted from. */
function ChosenRows({ seqs, about }: { seqs: string; about: string }): ReactElement {
  const query = useQuery(`rows:${seqs}`, () => record.rows(seqs.split(",").map(Number)));
  return (
    <PageFrame title={about ? `The rows behind: ${about}` : "Chosen rows"} actions={<Link className="button" to="/timeline">Whole record</Link>}>
      <Loaded query={query}>{(rows) => (rows.length === 0 ? <Empty title="These rows are not for you to read, or are gone." /> : <Rows rows={rows} />)}</Loaded>
    </PageFrame>
  );
}

function WholeRecord(): ReactElement {
  const params = useParams();
  // "The last hour" is counted from when it was chosen; newer rows come live.
  const filters = useMemo(() => readFilters(params, Math.floor(Date.now() / 60_000) * 60_000), [params]);
  const matches = useCallback((event: RecordEvent) => accepts(filters, event), [filters]);
  const wanted = useMemo(() => ({ ...toQuery(filters), limit: ROWS }), [filters]);
  const { rows, query, older, loadingOlder } = useRecord(wanted, matches);
  const filtered = Object.values(toQuery(filters)).some(Boolean);
  return (
    <PageFrame title="Timeline" sub="Everything that happened, one row each, never changed after.">
      <FilterBar filters={filters} params={params} />
      {filters.correlation && (
        <p>Only what belongs to <code>{filters.correlation}</code>. <Link to="/timeline">Show everything</Link></p>
      )}
      {query.error && <Problem message={query.error.message} advice={query.error.advice} retry={query.reload} />}
      <Histogram rows={rows} complete={older === null} onPick={(from, to) => params.set({ from: String(from), to: String(to), window: null }, false)} />
      {rows.length > 0 ? (
        <Rows rows={rows} />
      ) : query.loading ? (
        <Loading />
      ) : filtered ? (
        <Empty title="No row matches."><Link className="inline-link" to="/timeline">Drop all filters</Link></Empty>
      ) : (
        <Empty title="The record is empty." command='tenfold doing "first words in the record"'>Everything people and robots do lands here.</Empty>
      )}
      {older && (
        <div><button type="button" className="button" disabled={loadingOlder} onClick={older}>{loadingOlder ? "Loading…" : "Older rows"}</button></div>
      )}
    </PageFrame>
  );
}

export default function TimelinePage(): ReactElement {
  const params = useParams();
  const chosen = params.get("rows");
  return chosen ? <ChosenRows seqs={chosen} about={params.get("about")} /> : <WholeRecord />;
}
