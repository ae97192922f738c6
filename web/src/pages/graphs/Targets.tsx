/** Who is scraped and how that went last: what is down first, by job. There may be 10,000 of one job; the server lists a part of them. */
import { useState, type ReactElement, type ReactNode } from "react";
import { graphs } from "../../api/endpoints";
import { given } from "../../api/http";
import type { Target, TargetCounts, TargetList } from "../../api/types";
import { useHeld } from "../../api/useHeld";
import { useQuery, type QueryOptions } from "../../api/useQuery";
import type { Look } from "../../lib/status";
import { duration } from "../../lib/time";
import { count, plural } from "../../lib/units";
import { Link } from "../../router/Link";
import { addressWith, useParams } from "../../router/router";
import { Empty, Problem, Status, Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { ListFilter } from "../alerts/ListFilter";

const HEALTH: Record<Target["health"], [Look, string]> = { up: ["ok", "Up"], down: ["critical", "Down"], unknown: ["unknown", "No data"] };
const STATES: [string, string][] = [["", "all"], ["down", "down"], ["unknown", "no data"], ["up", "up"]];
const WATCHED: QueryOptions = { everyMs: 15_000, touches: ["host.", "config."] };
/** Targets on the page, until somebody wants more. */
const LISTED = 200;
/** The server lists no more in one answer. */
const LISTED_MAX = 10_000;
/** Jobs of which no target is listed are named with their numbers, so many of them. */
const JOBS_NAMED_MAX = 100;
/** Of either, below graphs. */
const BRIEF = 10;
const ALL = "/settings/targets";

/** Host and port of a target; its instance is a name that outlives them. */
const address = (url: string): string => (URL.canParse(url) ? new URL(url).host : url);

/** "2 down, 1 without data, 40 up": what is none is not said. */
export function counted({ down, unknown, up }: TargetCounts): string {
  const parts = ([["down", down], ["without data", unknown], ["up", up]] as const).filter(([, n]) => n > 0);
  return parts.map(([word, n]) => `${count(n)} ${word}`).join(", ");
}

/** How many are in a state; in all when none is named. */
const inState = (counts: TargetCounts, state: string): number =>
  state === "up" || state === "down" || state === "unknown" ? counts[state] : counts.up + counts.down + counts.unknown;

export interface JobTargets {
  job: string;
  /** Null for one of so many jobs that the server does not tell its numbers. */
  counts: TargetCounts | null;
  rows: Target[];
  /** Further ones in this state, which are not listed. */
  more: number;
}

/** The listed targets by job. Those in which the most are down come first, as the server tells them. */
export function byJob({ items, jobs }: TargetList, state: string): JobTargets[] {
  const rows = new Map<string, Target[]>();
  for (const target of items) {
    const own = rows.get(target.job);
    if (own) own.push(target);
    else rows.set(target.job, [target]);
  }
  const told = jobs.map(({ job, counts }): JobTargets => {
    const own = rows.get(job) ?? [];
    return { job, counts, rows: own, more: Math.max(0, inState(counts, state) - own.length) };
  });
  const known = new Set(jobs.map(({ job }) => job));
  const others = [...rows].filter(([job]) => !known.has(job)).map(([job, own]): JobTargets => ({ job, counts: null, rows: own, more: 0 }));
  return [...told, ...others].filter((one) => one.rows.length > 0 || one.more > 0);
}

/** What a target has besides its job and its instance: `zone=eu`, as it is searched for. */
const labelsOf = ({ labels }: Target): string =>
  Object.entries(labels).filter(([name]) => name !== "job" && name !== "instance").map(([name, value]) => `${name}=${value}`).join(" ");

function Row({ target }: { target: Target }): ReactElement {
  const [look, word] = HEALTH[target.health] ?? HEALTH.unknown;
  const at = address(target.url);
  return (
    <tr>
      <td className="fit"><Status look={look}>{word}</Status></td>
      <td title={target.url}>{target.instance}{at !== target.instance && <span className="muted"> {at}</span>}</td>
      <td className="wrap-any muted">{labelsOf(target)}</td>
      <td className="fit" data-what="last"><Time at={target.last_scrape} /></td>
      <td className="number fit" data-what="took">{target.duration_ms === null || target.duration_ms === undefined ? "—" : duration(target.duration_ms)}</td>
      <td className="wrap-any">{target.error}</td>
    </tr>
  );
}

function Job({ of, only }: { of: JobTargets; only: ((job: string) => string) | null }): ReactElement {
  const { job, counts, rows, more } = of;
  return (
    <tbody>
      <tr>
        <th scope="rowgroup" colSpan={6}>
          <span className="strong">{only && job ? <Link className="inline-link" to={only(job)}>{job}</Link> : job || "without a job"}</span>
          {counts && <span>{`: ${counted(counts)}`}</span>}
          {more > 0 && <span>{rows.length > 0 ? `; the first ${count(rows.length)} are listed` : "; none of them is listed"}</span>}
        </th>
      </tr>
      {rows.map((target) => <Row key={JSON.stringify([target.pool, target.url, target.labels])} target={target} />)}
    </tbody>
  );
}

/** `only` makes the address that lists one job alone. */
function Table({ list, state, only, jobsMax }: { list: TargetList; state: string; only: ((job: string) => string) | null; jobsMax: number }): ReactElement {
  const jobs = byJob(list, state);
  const listed = jobs.filter(({ rows }) => rows.length > 0);
  const bare = jobs.filter(({ rows }) => rows.length === 0);
  const unnamed = Math.max(0, bare.length - jobsMax) + list.jobs_left_out;
  return (
    <>
      <TableWrap>
        <table className="stacks">
          <thead>
            <tr><th scope="col">State</th><th scope="col">Instance</th><th scope="col">Labels</th><th scope="col">Last scrape</th><th scope="col" className="number">Took</th><th scope="col">Error</th></tr>
          </thead>
          {[...listed, ...bare.slice(0, jobsMax)].map((of) => <Job key={of.job} of={of} only={only} />)}
        </table>
      </TableWrap>
      {unnamed > 0 && <p className="muted">{`And ${plural(unnamed, "more job")}: search for one by its name.`}</p>}
      {list.counts.down > 0 && <p className="muted">A target that is down says why. See what it answers with <code>curl -i ADDRESS</code> on the server&apos;s machine; of limits and formats the guide to scraping tells more.</p>}
    </>
  );
}

const isEmpty = ({ counts }: TargetList): boolean => inState(counts, "") === 0;

function Nothing(): ReactElement {
  return (
    <Empty title="Nothing is scraped yet." command="echo 'hello:1|c' | nc -u -w0 127.0.0.1 8125">
      Name targets in the service&apos;s file, name Prometheus&apos; own configuration in the settings as metrics.scrape_config_files, or send a counter over UDP (StatsD).
    </Empty>
  );
}

function Trouble({ list }: { list: TargetList }): ReactElement | null {
  if (!list.config_trouble) return null;
  return <Problem message={`The configuration files of scraping are not obeyed as they are now: ${list.config_trouble}`} advice="The ones before go on. A file that is put right counts at once." />;
}

const NONE: Record<string, string> = { down: "No target is down.", unknown: "Each target was scraped.", up: "No target is up." };

/** Why nothing is listed of what there is. */
function none(list: TargetList, state: string, q: string): string {
  if (!isEmpty(list)) return NONE[state] ?? "None is in this state.";
  return q ? "No target has all these words. Write fewer of them, or only a part of a word." : "This job has no targets now.";
}

function Found({ list, state, job, q, more }: { list: TargetList; state: string; job: string; q: string; more: () => void }): ReactElement {
  if (list.items.length === 0) return <p className="muted">{none(list, state, q)}</p>;
  return (
    <>
      <Table list={list} state={state} only={job ? null : (one) => addressWith({ job: one })} jobsMax={JOBS_NAMED_MAX} />
      {list.next && list.items.length < LISTED_MAX && <p><button type="button" className="button small" onClick={more}>Show more targets</button></p>}
    </>
  );
}

function Titled({ end, children }: { end?: ReactNode; children: ReactNode }): ReactElement {
  return <Section title="Where the numbers come from" end={end}>{children}</Section>;
}

/** All of them, searched by words, state and job; these stand in the address. */
export function Targets(): ReactElement {
  const params = useParams();
  const [state, job, q] = [params.get("state"), params.get("job"), params.get("q")];
  const [limit, setLimit] = useState(LISTED);
  const asked = given({ health: state, job, q, limit });
  const query = useHeld(useQuery(`targets:${JSON.stringify(asked)}`, () => graphs.targets(asked), WATCHED));
  return (
    <Titled end={query.data && <span className="muted" role="status">{query.waits ? "Loading…" : counted(query.data.counts)}</span>}>
      <ListFilter what="Targets" states={STATES} placeholder="job, address, zone=eu" />
      {job && <p>Only the job <span className="strong">{job}</span>. <Link className="inline-link" to={addressWith({ job: null })}>All jobs</Link></p>}
      <Loaded query={query}>
        {(list) => (
          <>
            <Trouble list={list} />
            {isEmpty(list) && job === "" && q === "" ? <Nothing /> : <Found list={list} state={state} job={job} q={q} more={() => setLimit(Math.min(limit * 5, LISTED_MAX))} />}
          </>
        )}
      </Loaded>
    </Titled>
  );
}

/** The first of them, for a page that is about something else. */
export function FirstTargets(): ReactElement {
  const query = useQuery("targets:first", () => graphs.targets({ limit: BRIEF }), WATCHED);
  const { data } = query;
  return (
    <Titled end={data && !isEmpty(data) && <><span className="muted">{counted(data.counts)}</span> <Link to={ALL}>All targets</Link></>}>
      <Loaded query={query}>
        {(list) => (
          <>
            <Trouble list={list} />
            {isEmpty(list) ? <Nothing /> : <Table list={list} state="" only={(job) => `${ALL}?job=${encodeURIComponent(job)}`} jobsMax={BRIEF} />}
          </>
        )}
      </Loaded>
    </Titled>
  );
}
