import { lazy, Suspense, useEffect, useMemo, useState, type FormEvent, type ReactElement } from "react";
import { metricNames } from "../../api/promql";
import { useQuery } from "../../api/useQuery";
import type { Panel } from "../../api/types";
import { MarkerKey } from "../../charts/MarkerKey";
import { PanelChart } from "../../charts/PanelChart";
import { RangePicker } from "../../charts/RangePicker";
import { linkOf, useRange, type Range } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import { recent, remember } from "../../lib/recent";
import { UNITS } from "../../lib/units";
import { useParams } from "../../router/router";
import { Copy, Empty, Loading } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { PageFrame } from "../../ui/Section";
import { Link } from "../../router/Link";
import { Explain } from "./Explain";
import { InstantTable } from "./InstantTable";

const PromqlEditor = lazy(() => import("../../editor/PromqlEditor"));

/** How the answer is drawn, by the address. */
const SHOWN: [name: string, words: string][] = [["", "lines"], ["stacked", "stacked lines"], ["log", "lines, logarithmic"], ["heatmap", "heatmap of a histogram"]];

/** What one page asks at once. */
const QUERIES_MAX = 10;

interface AskedProps {
  exprs: string[];
  unit: string;
  range: Range;
}

function Over({ exprs, unit, range }: AskedProps): ReactElement {
  const params = useParams();
  const markers = useMarkers(range);
  const shown = params.get("shown");
  const exemplars = params.get("exemplars") === "1";
  const panel = useMemo<Panel>(() => ({
    title: exprs.join(", "), unit, queries: exprs.map((expr) => ({ expr })), kind: shown === "heatmap" ? "heatmap" : "graph",
    stacked: shown === "stacked", log: shown === "log", exemplars,
  }), [exprs, unit, shown, exemplars]);
  return <PanelChart panel={panel} range={range} markers={markers} height={280} zoom detailed />;
}

function Answer({ exprs, unit, range }: AskedProps): ReactElement {
  const params = useParams();
  const several = exprs.length > 1;
  return (
    <>
      <h2 className="sr-only">Over time</h2>
      <Over exprs={exprs} unit={unit} range={range} />
      <MarkerKey />
      {exprs.map((expr) => <InstantTable key={expr} expr={expr} {...(several ? { title: expr } : {})} unit={unit} range={range} />)}
      {params.get("explain") === "1" && exprs.map((expr) => <Explain key={expr} expr={expr} range={range} />)}
    </>
  );
}

/** Pressed while the address says so. */
function Toggle({ name, children }: { name: string; children: string }): ReactElement {
  const params = useParams();
  const on = params.get(name) === "1";
  return <button type="button" className="button" aria-pressed={on} onClick={() => params.set({ [name]: on ? null : "1" })}>{children}</button>;
}

/** Any PromQL over any stretch of time; the questions are in the address, `expr` once for each. */
export default function ExplorePage(): ReactElement {
  const params = useParams();
  const range = useRange();
  const key = params.all("expr").join("\n\n");
  const exprs = useMemo(() => [...new Set(params.all("expr").map((expr) => expr.trim()).filter(Boolean))].slice(0, QUERIES_MAX), [key]);
  const unit = params.get("unit", "short");
  const [texts, setTexts] = useState(exprs.length > 0 ? exprs : [""]);
  const [asked, setAsked] = useState(recent);
  const names = useQuery("metric-names", metricNames);
  useEffect(() => setTexts(exprs.length > 0 ? exprs : [""]), [exprs]);
  const put = (at: number, text: string): void => setTexts((all) => all.map((one, index) => (index === at ? text : one)));
  const last = texts.length - 1;
  const run = (): void => {
    const wanted = texts.map((text) => text.trim()).filter(Boolean);
    setAsked(remember(wanted));
    params.set({ expr: wanted }, false);
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    run();
  };
  return (
    <PageFrame title="Explore" sub={<Link to="/graphs">Dashboards</Link>} actions={<RangePicker range={range} />}>
      <form className="stack" onSubmit={submit}>
        {texts.map((text, at) => (
          <div key={at} className="stack">
            <Suspense fallback={<Loading />}>
              <PromqlEditor label={at === 0 ? "PromQL" : `PromQL ${at + 1}`} value={text} onChange={(next) => put(at, next)} onRun={run} />
            </Suspense>
            {texts.length > 1 && <div className="form-row"><button type="button" className="button small" onClick={() => setTexts((all) => all.filter((_, index) => index !== at))}>Remove query {at + 1}</button></div>}
          </div>
        ))}
        <div className="form-row">
          <Field label="Metric">
            <select value="" onChange={(event) => put(last, event.target.value)}>
              <option value="">{names.data ? `choose of ${names.data.length}` : "…"}</option>
              {names.data?.map((name) => <option key={name}>{name}</option>)}
            </select>
          </Field>
          {asked.length > 0 && (
            <Field label="Asked lately">
              <select className="several" value="" onChange={(event) => put(last, event.target.value)}>
                <option value="">choose of {asked.length}</option>
                {asked.map((expr) => <option key={expr}>{expr}</option>)}
              </select>
            </Field>
          )}
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
          {texts.length < QUERIES_MAX && <button type="button" className="button" onClick={() => setTexts((all) => [...all, ""])}>Add a query</button>}
          <Toggle name="exemplars">Exemplars</Toggle>
          <Toggle name="explain">Explain</Toggle>
          {exprs.length > 0 && <span className="end"><Copy text={linkOf(range)} label="Copy link to this moment" /></span>}
        </div>
      </form>
      {exprs.length > 0 ? <Answer key={key} exprs={exprs} unit={unit} range={range} /> : <Empty title="Nothing asked yet." command="tenfold --help">Type an expression above, or choose a metric; the same query works through any Prometheus client at /api/v1/query.</Empty>}
    </PageFrame>
  );
}
