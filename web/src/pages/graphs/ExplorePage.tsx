import { lazy, Suspense, useEffect, useMemo, useState, type FormEvent, type ReactElement } from "react";
import { legend, metricNames, queryInstant } from "../../api/promql";
import { useQuery } from "../../api/useQuery";
import { Chart } from "../../charts/Chart";
import { RangePicker } from "../../charts/RangePicker";
import { useRange } from "../../charts/range";
import { useLines } from "../../charts/useLines";
import { useMarkers } from "../../charts/useMarkers";
import { format, UNITS } from "../../lib/units";
import { useParams } from "../../router/router";
import { Empty, Loading } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { Link } from "../../router/Link";
import { TableWrap } from "../../ui/TableWrap";
import { Explain } from "./Explain";

const PromqlEditor = lazy(() => import("../../editor/PromqlEditor"));

function Answer({ expr, unit }: { expr: string; unit: string }): ReactElement {
  const range = useRange();
  const queries = useMemo(() => [{ expr }], [expr]);
  const { times, lines, note, loading } = useLines(queries, range);
  const markers = useMarkers(range);
  const params = useParams();
  const instant = useQuery(`instant:${expr}`, () => queryInstant(expr), { everyMs: 15_000 });
  return (
    <>
      <h2 className="sr-only">Over time</h2>
      <Chart title={expr} unit={unit} times={times} lines={lines} note={note} loading={loading} markers={markers} rangeText={range.text} height={280} onZoom={(from, to) => params.set({ from: String(from), to: String(to), range: null }, false)} />
      <Section title="Now">
        <Loaded query={instant}>
          {(samples) =>
            samples.length === 0 ? <p className="muted">No series matches.</p> : (
              <TableWrap>
                <table>
                  <thead><tr><th scope="col">Series</th><th scope="col" className="number">Value</th></tr></thead>
                  <tbody>
                    {samples.slice(0, 100).map((sample) => (
                      <tr key={JSON.stringify(sample.labels)}>
                        <td className="mono wrap-any">{legend(null, sample.labels)}</td>
                        <td className="number nowrap">{format(sample.value, unit)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </TableWrap>
            )
          }
        </Loaded>
      </Section>
      {params.get("explain") === "1" && <Explain expr={expr} range={range} />}
    </>
  );
}

/** Any PromQL over any stretch of time; the question is in the address. */
export default function ExplorePage(): ReactElement {
  const params = useParams();
  const range = useRange();
  const expr = params.get("expr");
  const unit = params.get("unit", "short");
  const [text, setText] = useState(expr);
  const names = useQuery("metric-names", metricNames);
  useEffect(() => setText(expr), [expr]);
  const run = (): void => params.set({ expr: text.trim() }, false);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    run();
  };
  return (
    <PageFrame title="Explore" sub={<Link to="/graphs">Dashboards</Link>} actions={<RangePicker range={range} />}>
      <form className="stack" onSubmit={submit}>
        <Suspense fallback={<Loading />}>
          <PromqlEditor label="PromQL" value={text} onChange={setText} onRun={run} />
        </Suspense>
        <div className="form-row">
          <Field label="Metric">
            <select value="" onChange={(event) => setText(event.target.value)}>
              <option value="">{names.data ? `choose of ${names.data.length}` : "…"}</option>
              {names.data?.map((name) => <option key={name}>{name}</option>)}
            </select>
          </Field>
          <Field label="Unit">
            <select value={unit} onChange={(event) => params.set({ unit: event.target.value })}>
              {UNITS.map((name) => <option key={name}>{name}</option>)}
            </select>
          </Field>
          <button type="submit" className="button primary">Run</button>
          <button type="button" className="button" aria-pressed={params.get("explain") === "1"} onClick={() => params.set({ explain: params.get("explain") === "1" ? null : "1" })}>Explain</button>
        </div>
      </form>
      {expr ? <Answer key={expr} expr={expr} unit={unit} /> : <Empty title="Nothing asked yet." command="tenfold --help">Type an expression above, or choose a metric; the same query works through any Prometheus client at /api/v1/query.</Empty>}
    </PageFrame>
  );
}
