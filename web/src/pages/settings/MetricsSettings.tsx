import type { ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { CountedLabel, CountedSeries } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { count } from "../../lib/units";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

const EVERY_MS = 30_000;

function SeriesTable({ what, items }: { what: string; items: CountedSeries[] }): ReactElement {
  return (
    <TableWrap>
      <table className="stacks">
        <thead><tr><th scope="col">{what}</th><th scope="col" className="number">Series</th><th scope="col" className="number">Active</th></tr></thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.name}><td className="wrap-any">{item.name}</td><td className="number fit">{count(item.series)}</td><td className="number fit">{count(item.active)}</td></tr>
          ))}
        </tbody>
      </table>
    </TableWrap>
  );
}

function LabelTable({ items }: { items: CountedLabel[] }): ReactElement {
  return (
    <TableWrap>
      <table className="stacks">
        <thead><tr><th scope="col">Label</th><th scope="col" className="number">Values</th><th scope="col" className="number">Bytes</th></tr></thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.label}><td className="wrap-any">{item.label}</td><td className="number fit">{count(item.values)}</td><td className="number fit">{count(item.bytes)}</td></tr>
          ))}
        </tbody>
      </table>
    </TableWrap>
  );
}

/** Where the series are: what to look at before the limit is reached. */
function Cardinality(): ReactElement {
  const query = useQuery("cardinality", graphs.cardinality, { everyMs: EVERY_MS, touches: ["metrics."] });
  return (
    <Loaded query={query}>
      {(view) => (
        <>
          <Section title="Series">
            <p>
              {count(view.series)} of at most {count(view.series_max)}, {count(view.active_series)} with samples in memory; {count(view.labels)} labels, {count(view.label_pairs)} pairs.{" "}
              {view.series > view.series_max * 0.8 && <Status look="warning">Nearly full</Status>}
            </p>
            <SeriesTable what="Metric" items={view.metrics} />
          </Section>
          <Section title="Ended series">
            {view.churn.length === 0 ? <Empty title="Every series is alive." /> : <SeriesTable what="Metric" items={view.churn} />}
          </Section>
          <Section title="Labels"><LabelTable items={view.labels_by_values} /></Section>
          <Section title="Label pairs"><SeriesTable what="Pair" items={view.pairs_by_series} /></Section>
        </>
      )}
    </Loaded>
  );
}

const LIMITS: Record<string, string> = { series: "series", samples_per_second: "samples a second" };

/** Who pushes samples, and who went over a limit. */
function Sources(): ReactElement {
  const query = useQuery("metric-sources", graphs.sources, { everyMs: EVERY_MS });
  return (
    <Section title="Who sends samples">
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nobody has pushed samples since the server started." command="tenfold token create prometheus --kind metrics" />
          ) : (
            <TableWrap>
              <table className="stacks">
                <thead>
                  <tr><th scope="col">State</th><th scope="col">Source</th><th scope="col">Last</th><th scope="col" className="number">Series</th><th scope="col" className="number">Samples</th><th scope="col">Refused</th></tr>
                </thead>
                <tbody>
                  {items.map((source) => {
                    const over = source.exceeded.map((limit) => LIMITS[limit] ?? limit).join(", ");
                    const [last] = [...source.refused].sort((a, b) => b.last_at.localeCompare(a.last_at));
                    return (
                      <tr key={`${source.protocol}/${source.name}`}>
                        <td className="fit">{over ? <Status look="warning">Over: {over}</Status> : <Status look="ok">Within limits</Status>}</td>
                        <td>{source.name} <span className="muted">{source.protocol}</span></td>
                        <td className="fit"><Time at={source.last_at} /></td>
                        <td className="number fit">{count(source.series)} <span className="muted">of {count(source.series_max)}</span></td>
                        <td className="number fit">{count(source.samples)}</td>
                        <td className="wrap-any">{last ? `${last.reason}: ${last.example}` : "—"}</td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </TableWrap>
          )
        }
      </Loaded>
    </Section>
  );
}

export function MetricsSettings(): ReactElement {
  return (
    <>
      <Sources />
      <Cardinality />
    </>
  );
}
