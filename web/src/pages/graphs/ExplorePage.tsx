import { lazy, Suspense, useEffect, useMemo, useState, type FormEvent, type ReactElement } from "react";
import { legend, metricNames, queryInstant } from "../../api/promql";
import { useQuery } from "../../api/useQuery";
import type { Panel } from "../../api/types";
import { PanelChart } from "../../charts/PanelChart";
import { RangePicker } from "../../charts/RangePicker";
import { linkOf, useRange, type Range } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import { format, UNITS } from "../../lib/units";
import { useParams } from "../../router/router";
import { Copy, Empty, Loading } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { Link } from "../../router/Link";
import { TableWrap } from "../../ui/TableWrap";
import { Explain } from "./Explain";

const PromqlEditor = lazy(() => import("../../editor/PromqlEditor"));

/** How the answer is drawn, by the address. */
const SHOWN: [name: string, words: string][] = [["", "lines"], ["heatmap", "heatmap of a histogram"]];

function Over({ expr, unit, range }: { expr: string; unit: string; range: Range }): ReactElement {
  const params = useParams();
  const markers = useMarkers(range);
  const panel = useMemo<Panel>(() => ({
    title: expr, unit, queries: [{ expr }], kind: params.get("shown") === "heatmap" ? "heatmap" : "graph", exemplars: params.get("exemplars") === "1",
  }), [expr, unit, params]);
  return <PanelChart panel={panel} range={range} markers={markers} height={280} zoom />;
}

function Answer({ expr, unit, range }: { expr: string; unit: string; range: Range }): ReactElement {
  const params = useParams();
  const instant = useQuery(`instant:${expr}`, () => queryInstant(expr), { everyMs: 15_000 });
  return (
    <>
      <h2 className="sr-only">Over time</h2>
      <Over expr={expr} unit={unit} range={range} />
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
                        <td className="number nowrap">{sample.histogram ? `${format(sample.histogram.count, "short")} observed, ${format(sample.histogram.sum, unit)} in all` : format(sample.value, unit)}</td>
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

/** Pressed while the address says so. */
function Toggle({ name, children }: { name: string; children: string }): ReactElement {
  const params = useParams();
  const on = params.get(name) === "1";
  return <button type="button" className="button" aria-pressed={on} onClick={() => params.set({ [name]: on ? null : "1" })}>{children}</button>;
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
          <Field label="Shown as">
            <select value={params.get("shown")} onChange={(event) => params.set({ shown: event.target.value })}>
              {SHOWN.map(([name, words]) => <option key={name} value={name}>{words}</option>)}
            </select>
          </Field>
          <button type="submit" className="button primary">Run</button>
          <Toggle name="exemplars">Exemplars</Toggle>
          <Toggle name="explain">Explain</Toggle>
          {expr && <span className="end"><Copy text={linkOf(range)} label="Copy link to this moment" /></span>}
        </div>
      </form>
      {expr ? <Answer key={expr} expr={expr} unit={unit} range={range} /> : <Empty title="Nothing asked yet." command="tenfold --help">Type an expression above, or choose a metric; the same query works through any Prometheus client at /api/v1/query.</Empty>}
    </PageFrame>
  );
}
