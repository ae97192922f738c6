import { useEffect, type ReactElement } from "react";
import type { Variable } from "../../api/types";
import type { Range } from "../../charts/range";
import { ALL, useOptions, type Values } from "../../charts/variables";
import { Field } from "../../ui/Field";

interface Props {
  variables: Variable[];
  values: Values;
  range: Range;
  choose: (name: string, value: string) => void;
}

function Choice({ variable, values, range, choose }: Omit<Props, "variables"> & { variable: Variable }): ReactElement {
  const { options, loading, error } = useOptions(variable, values, range);
  const chosen = values[variable.name] ?? "";
  const first = options[0];
  // A query needs a value: the first, until somebody chooses.
  useEffect(() => {
    if (!chosen && first) choose(variable.name, first);
  }, [chosen, first]);
  const shown = chosen && !options.includes(chosen) ? [chosen, ...options] : options;
  return (
    <Field label={variable.name} {...(error ? { hint: error } : {})}>
      <select value={chosen} onChange={(event) => choose(variable.name, event.target.value)}>
        {shown.length === 0 && <option value="">{loading ? "…" : "no values"}</option>}
        {shown.map((value) => <option key={value} value={value}>{value === ALL ? "all" : value}</option>)}
      </select>
    </Field>
  );
}

/** The choices of a dashboard. */
export function Variables({ variables, ...rest }: Props): ReactElement | null {
  if (variables.length === 0) return null;
  return <div className="form-row">{variables.map((variable) => <Choice key={variable.name} variable={variable} {...rest} />)}</div>;
}
