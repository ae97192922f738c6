import type { ReactElement } from "react";
import { graphs } from "../../../api/endpoints";
import { queryInstant, type InstantSample } from "../../../api/promql";
import type { ExceededLimit, JobExceeded, SourceStatus } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { count } from "../../../lib/units";
import { Empty, Status, Time } from "../../../ui/basics";
import { Loaded, Section } from "../../../ui/Section";
import { TableWrap } from "../../../ui/TableWrap";

const EVERY_MS = 30_000;
const LIMITS: Record<string, string> = { series: "series", samples_per_second: "samples a second" };

/** Which limit, and when it was last gone over. */
function Over({ exceeded }: { exceeded: ExceededLimit[] }): ReactElement {
  if (exceeded.length === 0) return <Status look="ok">Within limits</Status>;
  return (
    <Status look="warning">
      Over: {exceeded.map(({ limit, last_at }, index) => <span key={limit}>{index > 0 && ", "}{LIMITS[limit] ?? limit} <span className="muted"><Time at={last_at} /></span></span>)}
    </Status>
  );
}

function Pushing({ items }: { items: SourceStatus[] }): ReactElement {
  return (
    <TableWrap>
      <table className="stacks">
        <thead>
          <tr><th scope="col">State</th><th scope="col">Source</th><th scope="col">Last</th><th scope="col" className="number">Series</th><th scope="col" className="number">Samples</th><th scope="col">Refused</th></tr>
        </thead>
        <tbody>
          {items.map((source) => {
            const [last] = [...source.refused].sort((a, b) => b.last_at.localeCompare(a.last_at));
            return (
              <tr key={`${source.protocol}/${source.name}`}>
                <td className="fit"><Over exceeded={source.exceeded} /></td>
                <td>{source.name} <span className="muted">{source.protocol}{source.own_limits && ", limits of its own"}</span></td>
                <td className="fit"><Time at={source.last_at} /></td>
                <td className="number fit" data-what="Series">{count(source.series)} <span className="muted">of {count(source.series_max)}</span></td>
                <td className="number fit" data-what="Samples">{count(source.samples)}</td>
                <td className="wrap-any">{last ? `${last.reason}: ${last.example}` : "—"}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </TableWrap>
  );
}

function Scraped({ jobs }: { jobs: JobExceeded[] }): ReactElement {
  return (
    <Section title="Scraped jobs over their limits">
      <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">Job</th><th scope="col">Limit</th><th scope="col">Last</th><th scope="col" className="number">Scrapes</th><th scope="col">What it was</th></tr></thead>
          <tbody>
            {jobs.flatMap(({ job, exceeded }) =>
              exceeded.map((over) => (
                <tr key={`${job} ${over.limit}`}>
                  <td className="strong">{job}</td>
                  <td className="fit"><Status look="warning">{over.limit}</Status></td>
                  <td className="fit"><Time at={over.last_at} /></td>
                  <td className="number fit" data-what="Scrapes">{count(over.count)}</td>
                  <td className="wrap-any">{over.example}</td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </TableWrap>
    </Section>
  );
}

/** What scrapes say of themselves: nothing is counted for this that is not stored anyway. */
const OF_JOBS = ["sum by (job) (scrape_samples_post_metric_relabeling)", "count by (job) (scrape_samples_post_metric_relabeling)", "sum by (job) (scrape_series_added)"];

export interface ScrapedJob {
  job: string;
  series: number;
  targets: number;
  added: number;
}

/** The jobs with the most series first. */
export function jobsOf([series = [], targets = [], added = []]: InstantSample[][]): ScrapedJob[] {
  const byJob = (samples: InstantSample[]): Map<string, number> => new Map(samples.map(({ labels, value }) => [labels.job ?? "", value ?? 0]));
  const [of, grew] = [byJob(targets), byJob(added)];
  const jobs = [...byJob(series)].map(([job, n]) => ({ job, series: n, targets: of.get(job) ?? 0, added: grew.get(job) ?? 0 }));
  return jobs.sort((a, b) => b.series - a.series || a.job.localeCompare(b.job, "en"));
}

function Jobs(): ReactElement {
  const query = useQuery("scraped-jobs", async () => jobsOf(await Promise.all(OF_JOBS.map((expr) => queryInstant(expr)))), { everyMs: EVERY_MS });
  return (
    <Section title="Scraped jobs">
      <Loaded query={query}>
        {(jobs) => (jobs.length === 0 ? <p className="muted">Nothing is scraped.</p> : (
          <TableWrap>
            <table className="stacks">
              <thead><tr><th scope="col">Job</th><th scope="col" className="number">Targets</th><th scope="col" className="number">Series</th><th scope="col" className="number">New in the last scrapes</th></tr></thead>
              <tbody>
                {jobs.map(({ job, series, targets, added }) => (
                  <tr key={job}>
                    <td className="strong">{job}</td>
                    <td className="number fit" data-what="Targets">{count(targets)}</td>
                    <td className="number fit" data-what="Series">{count(series)}</td>
                    <td className="number fit" data-what="New">{count(added)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableWrap>
        ))}
      </Loaded>
    </Section>
  );
}

/** Who sends samples, and who went over a limit. */
export function Sources(): ReactElement {
  const query = useQuery("metric-sources", graphs.sources, { everyMs: EVERY_MS });
  return (
    <Loaded query={query}>
      {({ items, jobs }) => (
        <>
          <Section title="Who sends samples">
            {items.length === 0 ? <Empty title="Nobody has pushed samples since the server started." command="tenfold token create prometheus --kind metrics" /> : <Pushing items={items} />}
          </Section>
          <Jobs />
          {jobs.length > 0 && <Scraped jobs={jobs} />}
        </>
      )}
    </Loaded>
  );
}
