import { Menu } from "@base-ui/react/menu";
import { useEffect, useId, useRef, useState, type ReactElement } from "react";
import { labelNames, labelValues } from "../../api/promql";
import type { Variable } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { FILTERS, isPlainLabel, matcherOf, SIGNS } from "../../charts/filters";
import type { Range } from "../../charts/range";
import { ALL, goesBy, NO_FILTERS, stillChosen, toggled, useOptions, type Values } from "../../charts/variables";
import { useParams } from "../../router/router";
import { Field } from "../../ui/Field";

interface Props {
  variables: Variable[];
  values: Values;
  range: Range;
  choose: (name: string, value: string | string[]) => void;
  /** Told what can be chosen, once that is known. */
  offer?: ((name: string, options: string[]) => void) | undefined;
}

/** What a value is called where it is chosen. */
const word = (value: string, texts?: Map<string, string>): string => (value === ALL ? "all" : (texts?.get(value) ?? value));

/** More than these are counted, not named. */
const NAMED_MAX = 2;

interface SeveralProps {
  variable: Variable;
  options: string[];
  texts: Map<string, string>;
  chosen: string[];
  hint: string | null;
  onChange: (values: string[]) => void;
}

/** A list in which several values are ticked. */
function Several({ variable, options, texts, chosen, hint, onChange }: SeveralProps): ReactElement {
  const id = useId();
  const { name, all = false } = variable;
  const shown = [...options, ...chosen.filter((value) => !options.includes(value))];
  const words = chosen.length === 0 ? "none" : chosen.length > NAMED_MAX ? `${chosen.length} of ${shown.filter((value) => value !== ALL).length}` : chosen.map((one) => word(one, texts)).join(", ");
  return (
    <div className="field">
      <label htmlFor={id}>{name}</label>
      <Menu.Root modal={false}>
        <Menu.Trigger id={id} className="button several" aria-label={`${name}: ${words}`}><span className="several-words">{words}</span> <span aria-hidden="true">▾</span></Menu.Trigger>
        <Menu.Portal>
          <Menu.Positioner sideOffset={4} align="start">
            <Menu.Popup className="menu several-menu">
              {shown.map((value) => (
                <Menu.CheckboxItem key={value} className="menu-item" checked={chosen.includes(value)} onCheckedChange={() => onChange(toggled(chosen, value, all))}>
                  {word(value, texts)}
                  <Menu.CheckboxItemIndicator>✓</Menu.CheckboxItemIndicator>
                </Menu.CheckboxItem>
              ))}
            </Menu.Popup>
          </Menu.Positioner>
        </Menu.Portal>
      </Menu.Root>
      {hint && <span className="hint">{hint}</span>}
    </div>
  );
}

/** A text that stands in queries once it is sent: each letter would be a query otherwise. */
function Typed({ name, value, onChange }: { name: string; value: string; onChange: (value: string) => void }): ReactElement {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <form onSubmit={(event) => { event.preventDefault(); onChange(text); }}>
      <Field label={name}><input value={text} onChange={(event) => setText(event.target.value)} onBlur={() => text !== value && onChange(text)} /></Field>
    </form>
  );
}

function Choice({ variable, values, range, choose, offer }: Omit<Props, "variables"> & { variable: Variable }): ReactElement {
  const { options, texts, loading, error } = useOptions(variable, values, range);
  useEffect(() => {
    if (!loading && !error) offer?.(variable.name, options);
  }, [offer, variable.name, options, loading, error]);
  const told = values[variable.name] ?? "";
  const chosen = typeof told === "string" ? (told ? [told] : []) : told;
  const [value = ""] = chosen;
  const first = options[0];
  // A query needs a value: the first, until somebody chooses.
  useEffect(() => {
    if (!value && first) choose(variable.name, first);
  }, [value, first]);
  /** What is chosen and not on offer gives way. */
  const settle = (): void => {
    const kept = stillChosen(chosen, options);
    if (kept.length > 0 && kept.join("\n") !== chosen.join("\n")) choose(variable.name, kept);
  };
  const params = useParams();
  const opens = Boolean(variable.first?.length) && !params.all(`var-${variable.name}`).some(Boolean);
  // What it opens with was there when it was written, and may be gone or on another server.
  useEffect(() => {
    if (opens && !loading && !error) settle();
  }, [opens, loading, error, options]);
  const by = goesBy(variable, values);
  const settled = useRef(by);
  // What was chosen under another host or job may not be there under this one, and every panel would be empty.
  useEffect(() => {
    if (settled.current === by || loading || error) return;
    settled.current = by;
    settle();
  }, [by, loading, error, options]);
  if (variable.free) return <Typed name={variable.name} value={value} onChange={(next) => choose(variable.name, next)} />;
  if (variable.multi) return <Several variable={variable} options={options} texts={texts} chosen={chosen} hint={error} onChange={(next) => choose(variable.name, next)} />;
  const shown = value && !options.includes(value) ? [value, ...options] : options;
  return (
    <Field label={variable.name} {...(error ? { hint: error } : {})}>
      <select value={value} onChange={(event) => choose(variable.name, event.target.value)}>
        {shown.length === 0 && <option value="">{loading ? "…" : "no values"}</option>}
        {shown.map((one) => <option key={one} value={one}>{word(one, texts)}</option>)}
      </select>
    </Field>
  );
}

const OFFERED_MAX = 500;

interface FiltersProps {
  name: string;
  chosen: string[];
  onChange: (matchers: string[]) => void;
}

/** Label matchers for every query of the page: those that stand, and one more. */
function Filters({ name, chosen, onChange }: FiltersProps): ReactElement {
  const id = useId();
  const [label, setLabel] = useState("");
  const [sign, setSign] = useState("=");
  const [value, setValue] = useState("");
  const labels = useQuery("label-names", labelNames);
  const known = labels.data?.includes(label) ?? false;
  const values = useQuery(known ? `label-values:${label}:` : null, () => labelValues(label));
  const ready = isPlainLabel(label);
  const add = (): void => {
    if (!ready) return;
    const matcher = matcherOf(label, sign, value);
    if (!chosen.includes(matcher)) onChange([...chosen, matcher]);
    setLabel("");
    setValue("");
  };
  return (
    <form className="form-row" aria-label={name} onSubmit={(event) => { event.preventDefault(); add(); }}>
      {chosen.map((matcher) => (
        <button key={matcher} type="button" className="button small" aria-label={`Remove the filter ${matcher}`} onClick={() => onChange(chosen.filter((one) => one !== matcher))}>
          <code>{matcher}</code> <span aria-hidden="true">×</span>
        </button>
      ))}
      <Field label={`${name}: label`} {...(labels.error ? { hint: labels.error.message } : {})}><input list={`${id}-labels`} size={12} value={label} onChange={(event) => setLabel(event.target.value)} /></Field>
      <Field label="is"><select value={sign} onChange={(event) => setSign(event.target.value)}>{SIGNS.map((one) => <option key={one}>{one}</option>)}</select></Field>
      <Field label="Value"><input list={`${id}-values`} size={16} value={value} onChange={(event) => setValue(event.target.value)} /></Field>
      <datalist id={`${id}-labels`}>{(labels.data ?? []).filter((one) => one !== "__name__").slice(0, OFFERED_MAX).map((one) => <option key={one} value={one} />)}</datalist>
      <datalist id={`${id}-values`}>{(values.data ?? []).slice(0, OFFERED_MAX).map((one) => <option key={one} value={one} />)}</datalist>
      <button type="submit" className="button" aria-disabled={!ready || undefined}>Add a filter</button>
    </form>
  );
}

/** The choices of a dashboard. */
export function Variables({ variables, ...rest }: Props): ReactElement | null {
  if (variables.length === 0) return null;
  const named = variables.filter(({ filters }) => !filters);
  // Several lists of filters are one: all of them stand in every query.
  const [filters] = variables.filter((variable) => variable.filters);
  const chosen = rest.values[FILTERS] ?? [];
  return (
    <>
      {named.length > 0 && <div className="form-row">{named.map((variable) => <Choice key={variable.name} variable={variable} {...rest} />)}</div>}
      {filters && <Filters name={filters.name} chosen={typeof chosen === "string" ? [chosen] : chosen} onChange={(next) => rest.choose(filters.name, next.length > 0 ? next : [NO_FILTERS])} />}
    </>
  );
}
