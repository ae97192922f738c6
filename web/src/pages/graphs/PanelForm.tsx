import { lazy, Suspense, useState, type ReactElement } from "react";
import type { Marker, Panel, PanelKind, Variable } from "../../api/types";
import { readThresholds, writeThresholds } from "../../charts/look";
import { PanelChart } from "../../charts/PanelChart";
import type { Range } from "../../charts/range";
import { fill, filled, type Values } from "../../charts/variables";
import { UNITS } from "../../lib/units";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loading } from "../../ui/basics";
import { EXEMPLARS, KINDS } from "./kinds";
import { asKind, NullFields, SeriesFields, TableFields, ValueFields } from "./LookFields";
import { LinkForm } from "./MarkForm";

const PromqlEditor = lazy(() => import("../../editor/PromqlEditor"));

export const NEW_PANEL: Panel = { title: "", unit: "short", kind: "graph", width: 1, queries: [{ expr: "", legend: "" }] };

/** An end of the axis as somebody types it; what is no number is left to the values. */
function readEnd(text: string): number | null {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? value : null;
}

interface Props {
  panel: Panel;
  /** What stood in the form before, which was not kept. */
  written?: Panel | null;
  onWrite?: (panel: Panel) => void;
  range: Range;
  values: Values;
  markers: Marker[];
  variables: Variable[];
  onSave: (panel: Panel) => void;
  onClose: () => void;
}

/** A panel's title, queries and look, with what it would show. */
export function PanelForm({ panel, written = null, onWrite, range, values, markers, variables, onSave, onClose }: Props): ReactElement {
  const [draft, setDraft] = useState(written ?? panel);
  const [shown, setShown] = useState(written ?? panel);
  const [limits, setLimits] = useState(writeThresholds((written ?? panel).thresholds));
  const [laid, setLaid] = useState<string | null>(null);
  const [worded, setWorded] = useState<string | null>(null);
  const [set, setSet] = useState<string | null>(null);
  const change = (changes: Partial<Panel>): void => {
    const next = { ...draft, ...changes };
    setDraft(next);
    onWrite?.(next);
  };
  const query = (at: number, changes: Partial<Panel["queries"][number]>): void =>
    change({ queries: draft.queries.map((one, index) => (index === at ? { ...one, ...changes } : one)) });
  const asked = draft.queries.filter(({ expr }) => expr.trim());
  const thresholds = readThresholds(limits);
  const ends = typeof draft.min === "number" && typeof draft.max === "number" && draft.min >= draft.max ? "The axis ends below its beginning." : null;
  const zero = draft.log && [draft.min, draft.max].some((end) => typeof end === "number" && end <= 0) ? "A logarithmic axis begins above 0." : null;
  const isText = draft.kind === "text";
  const empty = isText ? (draft.text ?? "").trim() === "" : asked.length === 0;
  const untold = draft.title.trim() === "" || empty ? `A panel has a title and ${isText ? "words" : "a query"}.` : null;
  const tells = draft.kind === "stat" || draft.kind === "top" || draft.kind === "table";
  const single = (draft.kind ?? "graph") === "graph" || draft.kind === "stat" || draft.kind === "top";
  const unread = (draft.kind === "table" ? laid : null) ?? (tells ? worded : null) ?? (single ? set : null);
  const badly = thresholds === null ? "Write thresholds like: warning above 0.8, critical above 0.9." : null;
  const wrong = untold ?? unread ?? badly ?? ends ?? zero;
  const ready = wrong === null;
  const made = asKind({ ...draft, queries: asked, thresholds: thresholds ?? [] });
  return (
    <Dialog open onClose={onClose} title={panel.title ? `Panel: ${panel.title}` : "A new panel"} wide>
      <form className="stack" onSubmit={(event) => { event.preventDefault(); if (ready) onSave(made); }}>
        <div className="form-row">
          <Field label="Title"><input value={draft.title} autoFocus onChange={(event) => change({ title: event.target.value })} /></Field>
          <Field label="Shown as">
            <select value={draft.kind ?? "graph"} onChange={(event) => change({ kind: event.target.value as PanelKind })}>
              {KINDS.map(([kind, words]) => <option key={kind} value={kind}>{words}</option>)}
            </select>
          </Field>
          <Field label="Unit">
            <select value={draft.unit ?? "short"} onChange={(event) => change({ unit: event.target.value })}>
              {UNITS.map((unit) => <option key={unit}>{unit}</option>)}
            </select>
          </Field>
          <Field label="Width">
            <select value={draft.width ?? 1} onChange={(event) => change({ width: Number(event.target.value) })}>
              {[1, 2, 3].map((width) => <option key={width} value={width}>{width} of 3</option>)}
            </select>
          </Field>
          <Field label="Row"><input value={draft.row ?? ""} size={12} onChange={(event) => change({ row: event.target.value.trim() === "" ? null : event.target.value })} /></Field>
          {EXEMPLARS.has(draft.kind ?? "graph") && (
            <label className="inline"><input type="checkbox" checked={draft.exemplars ?? false} onChange={(event) => change({ exemplars: event.target.checked })} /> Exemplars</label>
          )}
        </div>
        <div className="form-row">
          {(draft.kind ?? "graph") === "graph" && (
            <>
              <Field label="Lines">
                <select value={draft.stacked ? "stacked" : draft.log ? "log" : ""} onChange={(event) => change({ stacked: event.target.value === "stacked", log: event.target.value === "log" })}>
                  <option value="">beside each other</option>
                  <option value="stacked">stacked</option>
                  <option value="log">on a logarithmic axis</option>
                </select>
              </Field>
              <NullFields draft={draft} change={change} />
              <Field label="Axis from"><input inputMode="decimal" size={6} defaultValue={draft.min ?? ""} onChange={(event) => change({ min: readEnd(event.target.value) })} /></Field>
              <Field label="Axis to"><input inputMode="decimal" size={6} defaultValue={draft.max ?? ""} onChange={(event) => change({ max: readEnd(event.target.value) })} /></Field>
            </>
          )}
          {draft.kind === "stat" && draft.sparkline && <NullFields draft={draft} change={change} />}
          {tells && <ValueFields draft={draft} change={change} onWrong={setWorded} />}
          {draft.kind === "table" && <TableFields draft={draft} change={change} onWrong={setLaid} />}
          {single && <SeriesFields draft={draft} change={change} onWrong={setSet} />}
          {variables.some(({ filters }) => !filters) && (
            <Field label="Once for each">
              <select value={draft.repeat ?? ""} onChange={(event) => change({ repeat: event.target.value || null })}>
                <option value="">not repeated</option>
                {variables.filter(({ filters }) => !filters).map(({ name }) => <option key={name} value={name}>value of {name}</option>)}
              </select>
            </Field>
          )}
          {draft.kind !== "heatmap" && !isText && <Field label="Thresholds" hint="warning above 0.8, critical above 0.9"><input value={limits} onChange={(event) => {
            setLimits(event.target.value);
            change({ thresholds: readThresholds(event.target.value) ?? draft.thresholds ?? [] });
          }} /></Field>}
        </div>
        {isText && <Field label="Words" hint="# Heading, - list, **strong**, `code`, [words](https://…)"><textarea rows={8} value={draft.text ?? ""} onChange={(event) => change({ text: event.target.value })} /></Field>}
        {!isText && draft.queries.map((one, at) => (
          <div key={at} className="stack">
            <Suspense fallback={<Loading />}>
              <PromqlEditor label={`Query ${at + 1}`} value={one.expr} onChange={(expr) => query(at, { expr })} onRun={() => setShown(made)} asked={(text) => fill(text, values, range)} />
            </Suspense>
            <div className="form-row">
              <Field label="Legend" hint="{{code}} stands for a label"><input value={one.legend ?? ""} onChange={(event) => query(at, { legend: event.target.value })} /></Field>
              {draft.queries.length > 1 && <button type="button" className="button" onClick={() => change({ queries: draft.queries.filter((_, index) => index !== at) })}>Remove query {at + 1}</button>}
            </div>
          </div>
        ))}
        <div className="form-row">
          {!isText && <button type="button" className="button" onClick={() => change({ queries: [...draft.queries, { expr: "", legend: "" }] })}>Add a query</button>}
          <button type="button" className="button" onClick={() => setShown(made)}>Preview</button>
          <button type="submit" className="button primary" aria-disabled={!ready || undefined}>Keep</button>
          {wrong && <span className="why">{wrong}</span>}
        </div>
      </form>
      <LinkForm of="the panel" links={draft.links ?? []} onChange={(links) => change({ links })} />
      {(shown.kind === "text" || shown.queries.some(({ expr }) => expr.trim())) && <PanelChart panel={filled(shown, values, range)} range={range} markers={markers} height={180} />}
    </Dialog>
  );
}
