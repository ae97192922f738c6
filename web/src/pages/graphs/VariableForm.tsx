import { useState, type ReactElement } from "react";
import type { Variable } from "../../api/types";
import { Field } from "../../ui/Field";

interface Props {
  variables: Variable[];
  onChange: (variables: Variable[]) => void;
}

/** What can be chosen on a dashboard: the values of a label, or a list. */
export function VariableForm({ variables, onChange }: Props): ReactElement {
  const [name, setName] = useState("");
  const [source, setSource] = useState("");
  const [multi, setMulti] = useState(false);
  const add = (): void => {
    const list = source.split(",").map((value) => value.trim()).filter(Boolean);
    const [, label, of] = /^label:\s*([A-Za-z_]\w*)(?:\s+of\s+(.+))?$/.exec(source.trim()) ?? [];
    const several = multi ? { multi } : {};
    const made: Variable = label ? { name: name.trim(), label, ...(of ? { of } : {}), all: true, ...several } : { name: name.trim(), values: list, ...several };
    onChange([...variables.filter((one) => one.name !== made.name), made]);
    setName("");
    setSource("");
    setMulti(false);
  };
  return (
    <details>
      <summary>Variables ({variables.length})</summary>
      <ul className="stack">
        {variables.map((variable) => (
          <li key={variable.name} className="form-row">
            <code>${variable.name}</code>
            <span className="muted">{variable.label ? `values of the label ${variable.label}${variable.of ? ` of ${variable.of}` : ""}` : (variable.values ?? []).join(", ")}{variable.regex ? ` that match ${variable.regex}` : ""}{variable.multi ? ", several at once" : ""}</span>
            <button type="button" className="button small" aria-label={`Remove the variable ${variable.name}`} onClick={() => onChange(variables.filter((one) => one !== variable))}>Remove</button>
          </li>
        ))}
      </ul>
      <div className="form-row">
        <Field label="Name"><input value={name} onChange={(event) => setName(event.target.value)} /></Field>
        <Field label="Values" hint="a list (5m, 1h), or label: instance of up{job=&quot;node&quot;}"><input value={source} onChange={(event) => setSource(event.target.value)} /></Field>
        <label className="inline"><input type="checkbox" checked={multi} onChange={(event) => setMulti(event.target.checked)} /> several at once</label>
        <button type="button" className="button" aria-disabled={!name.trim() || !source.trim() || undefined} onClick={() => name.trim() && source.trim() && add()}>Add a variable</button>
      </div>
    </details>
  );
}
