import { Menu } from "@base-ui/react/menu";
import { useEffect, useId, useState, type ReactElement } from "react";
import type { Variable } from "../../api/types";
import type { Range } from "../../charts/range";
import { ALL, toggled, useOptions, type Values } from "../../charts/variables";
import { Field } from "../../ui/Field";

interface Props {
  variables: Variable[];
  values: Values;
  range: Range;
  choose: (name: string, value: string | string[]) => void;
}

const word = (value: string): string => (value === ALL ? "all" : value);

/** More than these are counted, not named. */
const NAMED_MAX = 2;

interface SeveralProps {
  variable: Variable;
  options: string[];
  chosen: string[];
  hint: string | null;
  onChange: (values: string[]) => void;
}

/** A list in which several values are ticked. */
function Several({ variable, options, chosen, hint, onChange }: SeveralProps): ReactElement {
  const id = useId();
  const { name, all = false } = variable;
  const shown = [...options, ...chosen.filter((value) => !options.includes(value))];
  const words = chosen.length === 0 ? "none" : chosen.length > NAMED_MAX ? `${chosen.length} of ${shown.filter((value) => value !== ALL).length}` : chosen.map(word).join(", ");
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
                  {word(value)}
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

function Choice({ variable, values, range, choose }: Omit<Props, "variables"> & { variable: Variable }): ReactElement {
  const { options, loading, error } = useOptions(variable, values, range);
  const told = values[variable.name] ?? "";
  const chosen = typeof told === "string" ? (told ? [told] : []) : told;
  const [value = ""] = chosen;
  const first = options[0];
  // A query needs a value: the first, until somebody chooses.
  useEffect(() => {
    if (!value && first) choose(variable.name, first);
  }, [value, first]);
  if (variable.free) return <Typed name={variable.name} value={value} onChange={(next) => choose(variable.name, next)} />;
  if (variable.multi) return <Several variable={variable} options={options} chosen={chosen} hint={error} onChange={(next) => choose(variable.name, next)} />;
  const shown = value && !options.includes(value) ? [value, ...options] : options;
  return (
    <Field label={variable.name} {...(error ? { hint: error } : {})}>
      <select value={value} onChange={(event) => choose(variable.name, event.target.value)}>
        {shown.length === 0 && <option value="">{loading ? "…" : "no values"}</option>}
        {shown.map((one) => <option key={one} value={one}>{word(one)}</option>)}
      </select>
    </Field>
  );
}

/** The choices of a dashboard. */
export function Variables({ variables, ...rest }: Props): ReactElement | null {
  if (variables.length === 0) return null;
  return <div className="form-row">{variables.map((variable) => <Choice key={variable.name} variable={variable} {...rest} />)}</div>;
}
