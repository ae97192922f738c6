import { useState, type ReactElement } from "react";
import type { Variable } from "../../api/types";
import { openingWith, type Values } from "../../charts/variables";
import { Field } from "../../ui/Field";
import { moved } from "./order";

interface Props {
  variables: Variable[];
  /** What is chosen on the page. */
  values: Values;
  onChange: (variables: Variable[]) => void;
}

/** Where the values come from, in words. */
function sourceOf({ label, of, query, free, filters, values = [] }: Variable): string {
  if (filters) return `filters of every query${values.length > 0 ? `, at first ${values.join(", ")}` : ""}`;
  if (label) return `values of the label ${label}${of ? ` of ${of}` : ""}`;
  if (query) return `series of ${query}`;
  return free ? `what is typed${values[0] ? `, at first ${values[0]}` : ""}` : values.join(", ");
}

/** Matchers that stand side by side, apart. */
const MATCHERS = /[^\s,"'=!]+\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/g;

/** A variable as somebody types its source: a list, `label: NAME of SERIES`, `query: EXPR`, `text: FIRST`, or `filters: MATCHERS`. */
export function readVariable(name: string, source: string): Variable {
  const plain = source.trim();
  const [, label, of] = /^label:\s*([A-Za-z_]\w*)(?:\s+of\s+(.+))?$/.exec(plain) ?? [];
  if (label) return { name, label, ...(of ? { of } : {}), all: true };
  const [, kind, rest = ""] = /^(query|text|filters):\s*(.*)$/.exec(plain) ?? [];
  if (kind === "filters") {
    const values = rest.match(MATCHERS) ?? [];
    return { name, filters: true, ...(values.length > 0 ? { values: [...values] } : {}) };
  }
  if (kind === "query") return { name, query: rest };
  if (kind === "text") return { name, free: true, ...(rest ? { values: [rest] } : {}) };
  return { name, values: plain.split(",").map((value) => value.trim()).filter(Boolean) };
}

/** As `readVariable` takes it. */
export function writeVariable({ label, of, query, free, filters, values = [] }: Variable): string {
  if (filters) return `filters: ${values.join(", ")}`;
  if (label) return `label: ${label}${of ? ` of ${of}` : ""}`;
  if (query) return `query: ${query}`;
  return free ? `text: ${values[0] ?? ""}` : values.join(", ");
}

/** The same values are on offer. */
const sameSource = (one: Variable, other: Variable): boolean => writeVariable(one) === writeVariable(other) && (one.regex ?? "") === (other.regex ?? "");

/** A variable that is there keeps its place, whether all of its values can be chosen at once, and of the same values what it opens with. */
export function withVariable(variables: Variable[], made: Variable): Variable[] {
  const before = variables.find(({ name }) => name === made.name);
  if (!before) return [...variables, made];
  const { all: _all, ...rest } = made;
  const first = before.first && sameSource(before, made) ? before.first.slice(0, made.multi ? undefined : 1) : [];
  const kept: Variable = made.free || made.filters ? rest : { ...rest, ...(before.free || before.filters ? { all: made.all ?? false } : { all: before.all ?? false }), ...(first.length > 0 ? { first } : {}) };
  return variables.map((one) => (one === before ? kept : one));
}

/** What can be chosen on a dashboard: the values of a label or a query, a list, or what is typed. */
export function VariableForm({ variables, values, onChange }: Props): ReactElement {
  const [name, setName] = useState("");
  const [source, setSource] = useState("");
  const [multi, setMulti] = useState(false);
  const [regex, setRegex] = useState("");
  const change = (variable: Variable): void => {
    setName(variable.name);
    setSource(writeVariable(variable));
    setRegex(variable.regex ?? "");
    setMulti(variable.multi ?? false);
  };
  const add = (): void => {
    const read = readVariable(name.trim(), source);
    const asked = Boolean(read.label) || Boolean(read.query);
    const made: Variable = { ...read, ...(multi && !read.free && !read.filters ? { multi } : {}), ...(asked && regex.trim() ? { regex: regex.trim() } : {}) };
    onChange(withVariable(variables, made));
    setName("");
    setSource("");
    setRegex("");
    setMulti(false);
  };
  return (
    <details>
      <summary>Variables ({variables.length})</summary>
      <ul className="stack">
        {variables.map((variable, at) => (
          <li key={variable.name} className="form-row">
            <code>{variable.filters ? variable.name : `$${variable.name}`}</code>
            <span className="muted">{sourceOf(variable)}{variable.regex ? ` that match ${variable.regex}` : ""}{variable.multi ? ", several at once" : ""}{variable.first?.length ? `, at first ${variable.first.join(", ")}` : ""}</span>
            <button type="button" className="button small" aria-label={`Change the variable ${variable.name}`} onClick={() => change(variable)}>Change</button>
            {at > 0 && <button type="button" className="button small" aria-label={`Move the variable ${variable.name} forward`} onClick={() => onChange(moved(variables, at, at - 1))}>Forward</button>}
            <button type="button" className="button small" aria-label={`Remove the variable ${variable.name}`} onClick={() => onChange(variables.filter((one) => one !== variable))}>Remove</button>
          </li>
        ))}
      </ul>
      {variables.some(({ filters }) => !filters) && <button type="button" className="button small" onClick={() => onChange(openingWith(variables, values))}>Open with what is chosen now</button>}
      <div className="form-row">
        <Field label="Name"><input value={name} onChange={(event) => setName(event.target.value)} /></Field>
        <Field label="Values" hint="a list (5m, 1h), label: instance of up{job=&quot;node&quot;}, query: topk(5, load), text: web.*, or filters: job=&quot;web&quot;"><input value={source} size={32} onChange={(event) => setSource(event.target.value)} /></Field>
        <Field label="Filter" hint="a regular expression; its first group is offered"><input value={regex} onChange={(event) => setRegex(event.target.value)} /></Field>
        <label className="inline"><input type="checkbox" checked={multi} onChange={(event) => setMulti(event.target.checked)} /> several at once</label>
        <button type="button" className="button" aria-disabled={!name.trim() || !source.trim() || undefined} onClick={() => name.trim() && source.trim() && add()}>{variables.some((one) => one.name === name.trim()) ? "Change the variable" : "Add a variable"}</button>
      </div>
    </details>
  );
}
