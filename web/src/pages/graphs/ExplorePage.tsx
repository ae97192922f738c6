import { lazy, Suspense, useEffect, useMemo, useRef, useState, type FormEvent, type ReactElement } from "react";
import { ApiError, firstLine } from "../../api/http";
import { refresh } from "../../api/useQuery";
import { formatted, niceStep } from "../../api/promql";
import type { Panel } from "../../api/types";
import { withMatcher } from "../../charts/filters";
import { MarkerKey } from "../../charts/MarkerKey";
import { PanelChart } from "../../charts/PanelChart";
import { EXPLORED_MAX } from "../../charts/PanelLinks";
import { RangePicker } from "../../charts/RangePicker";
import { linkOf, stepped, stepsOf, useRange, type Range } from "../../charts/range";
import { useMarkers } from "../../charts/useMarkers";
import { recent, remember } from "../../lib/recent";
import { duration } from "../../lib/time";
import { UNITS } from "../../lib/units";
import { useParams } from "../../router/router";
import { Copy, Empty, Loading } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { PageFrame } from "../../ui/Section";
import { Link } from "../../router/Link";
import { AddToDashboard } from "./AddToDashboard";
import { Explain } from "./Explain";
import { InstantTable } from "./InstantTable";
import { MetricChooser } from "./MetricChooser";

const PromqlEditor = lazy(() => import("../../editor/PromqlEditor"));

/** How the answer is drawn, by the address. */
const SHOWN: [name: string, words: string][] = [["", "lines"], ["stacked", "stacked lines"], ["log", "lines, logarithmic"], ["heatmap", "heatmap of a histogram"]];

/** What the answers to the questions are kept under. */
const ANSWERS = ["lines:", "heat:", "instant:", "exemplars:", "explain:"];

/** Into the first empty place, else as one more: what somebody typed stays. The last gives way where there is no room. */
export function withQuery(texts: string[], expr: string): string[] {
  const empty = texts.findIndex((text) => text.trim() === "");
  if (empty < 0 && texts.length < EXPLORED_MAX) return [...texts, expr];
  const at = empty < 0 ? texts.length - 1 : empty;
  return texts.map((text, index) => (index === at ? expr : text));
}

/** The questions as one panel, drawn as the address says. */
function useShown(exprs: string[], unit: string): Panel {
  const params = useParams();
  const shown = params.get("shown");
  const exemplars = params.get("exemplars") === "1";
  return useMemo<Panel>(() => ({
    title: exprs.join(", "), unit, queries: exprs.map((expr) => ({ expr })), kind: shown === "heatmap" ? "heatmap" : "graph",
    stacked: shown === "stacked", log: shown === "log", exemplars,
  }), [exprs, unit, shown, exemplars]);
}

function Over({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  const markers = useMarkers(range);
  return <PanelChart panel={panel} range={range} markers={markers} height={280} zoom detailed />;
}

/**
 * What tells the table of each question from the others: a question that was narrowed goes on in the table of the one before.
 * `before` has for each such question the one that it came from first.
 */
export function tablesOf(exprs: string[], before: Map<string, string>): string[] {
  const taken = new Set<string>();
  return exprs.map((expr) => {
    const first = before.get(expr);
    const key = first !== undefined && !taken.has(first) && !exprs.includes(first) ? first : expr;
    taken.add(key);
    return key;
  });
}

interface AskedProps {
  exprs: string[];
  /** What tells their tables apart. */
  tables: string[];
  panel: Panel;
  unit: string;
  range: Range;
  /** Asks one of them only for a label's value. */
  onOnly: (expr: string, label: string, value: string) => void;
}

function Answer({ exprs, tables, panel, unit, range, onOnly }: AskedProps): ReactElement {
  const params = useParams();
  const several = exprs.length > 1;
  return (
    <>
      <h2 className="sr-only">Over time</h2>
      <Over key={exprs.join("\n\n")} panel={panel} range={range} />
      <MarkerKey />
      {exprs.map((expr, at) => <InstantTable key={tables[at]} expr={expr} {...(several ? { title: expr } : {})} unit={unit} range={range} onOnly={(label, value) => onOnly(expr, label, value)} />)}
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
  const asTold = useRange();
  const step = Number(params.get("step"));
  const range = useMemo(() => stepped(asTold, step), [asTold, step]);
  const key = params.all("expr").join("\n\n");
  const exprs = useMemo(() => [...new Set(params.all("expr").map((expr) => expr.trim()).filter(Boolean))].slice(0, EXPLORED_MAX), [key]);
  const unit = params.get("unit", "short");
  const panel = useShown(exprs, unit);
  const [texts, setTexts] = useState(exprs.length > 0 ? exprs : [""]);
  const [asked, setAsked] = useState(recent);
  const [unformatted, setUnformatted] = useState<string | null>(null);
  useEffect(() => setTexts(exprs.length > 0 ? exprs : [""]), [exprs]);
  const put = (at: number, text: string): void => {
    setUnformatted(null);
    setTexts((all) => all.map((one, index) => (index === at ? text : one)));
  };
  const add = (expr: string): void => setTexts((all) => withQuery(all, expr));
  const format = async (): Promise<void> => {
    try {
      const neat = await Promise.all(texts.map((text) => (text.trim() ? formatted(text) : text)));
      setUnformatted(null);
      // What was typed meanwhile stays.
      setTexts((all) => all.map((one, at) => (one === texts[at] ? (neat[at] ?? one) : one)));
    } catch (error) {
      setUnformatted(`It stays as it is: ${error instanceof ApiError ? firstLine(error.message) : String(error)}`);
    }
  };
  const runAll = (all: string[]): void => {
    const wanted = all.map((text) => text.trim()).filter(Boolean);
    setAsked(remember(wanted));
    // The same once more: over a range that stands still nothing else asks again.
    if (wanted.join("\n\n") === key) ANSWERS.forEach(refresh);
    else params.set({ expr: wanted }, false);
  };
  const run = (): void => runAll(texts);
  const before = useRef(new Map<string, string>());
  const only = (expr: string, label: string, value: string): void => {
    const next = withMatcher(expr, label, value);
    if (next !== expr) before.current.set(next, before.current.get(expr) ?? expr);
    // Where it was changed and not asked yet, what was typed stays.
    runAll(texts.some((text) => text.trim() === expr) ? texts.map((text) => (text.trim() === expr ? next : text)) : withQuery(texts, next));
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
          <MetricChooser onChoose={add} />
          {asked.length > 0 && (
            <Field label="Asked lately">
              <select className="several" value="" onChange={(event) => add(event.target.value)}>
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
          <Field label="Step">
            <select value={range.step ?? ""} onChange={(event) => params.set({ step: event.target.value })}>
              <option value="">by the range ({duration(1000 * niceStep((range.toMs - range.fromMs) / 1000))})</option>
              {stepsOf(range).map((seconds) => <option key={seconds} value={seconds}>{duration(1000 * seconds)}</option>)}
            </select>
          </Field>
          <button type="submit" className="button primary">Run</button>
          <button type="button" className="button" onClick={() => void format()}>Format</button>
          {texts.length < EXPLORED_MAX && <button type="button" className="button" onClick={() => setTexts((all) => [...all, ""])}>Add a query</button>}
          <Toggle name="exemplars">Exemplars</Toggle>
          <Toggle name="explain">Explain</Toggle>
          {exprs.length > 0 && <span className="end form-row"><AddToDashboard shown={panel} /><Copy text={linkOf(range)} label="Copy link to this moment" /></span>}
        </div>
        {unformatted && <p className="form-error" role="alert">{unformatted}</p>}
      </form>
      {exprs.length > 0 ? <Answer exprs={exprs} tables={tablesOf(exprs, before.current)} panel={panel} unit={unit} range={range} onOnly={only} /> : <Empty title="Nothing asked yet." command="tenfold --help">Type an expression above, or choose a metric; the same query works through any Prometheus client at /api/v1/query.</Empty>}
    </PageFrame>
  );
}
