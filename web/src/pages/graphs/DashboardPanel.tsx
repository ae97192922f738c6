import type { ReactElement } from "react";
import type { Marker, Panel, Variable } from "../../api/types";
import { PanelChart } from "../../charts/PanelChart";
import type { Range } from "../../charts/range";
import { useOnScreen } from "../../lib/useOnScreen";
import { eachOf, filled, useOptions, type Values } from "../../charts/variables";

/** More panels than this are no page any more. */
const REPEATED_MAX = 24;

interface Props {
  panel: Panel;
  variables: Variable[];
  values: Values;
  range: Range;
  markers: Marker[];
  /** It is drawn when somebody sees it. */
  later: boolean;
  height?: number;
  /** The address where it stands alone. */
  large?: string | undefined;
}

function One({ panel, values, range, markers, later, height, large }: Omit<Props, "variables">): ReactElement {
  const [box, seen] = useOnScreen();
  const shown = filled(panel, values, range);
  const linked = large ? { ...shown, links: [...(shown.links ?? []), { title: "enlarge", to: large }] } : shown;
  return (
    <div className={`wide-${panel.width ?? 1}${later ? " later" : ""}`} ref={later ? box : undefined}>
      {(seen || !later) && <PanelChart panel={linked} range={range} markers={markers} sync="graphs" zoom explore {...(height ? { height } : {})} />}
    </div>
  );
}

/** The title says of which value it is, if it does not by itself. */
export function titled(panel: Panel, name: string): Panel {
  return new RegExp(`\\$(?:${name}\\b|\\{${name}\\})`).test(panel.title) ? panel : { ...panel, title: `${panel.title}: $\{${name}}` };
}

function Repeated({ variable, panel, values, range, ...rest }: Omit<Props, "variables"> & { variable: Variable }): ReactElement | null {
  const { options, loading } = useOptions(variable, values, range);
  const each = eachOf(values[variable.name], options);
  const one = titled(panel, variable.name);
  if (each.length === 0) return loading ? null : <One panel={panel} values={values} range={range} {...rest} />;
  return (
    <>
      {each.slice(0, REPEATED_MAX).map((value) => <One key={value} panel={one} values={{ ...values, [variable.name]: value }} range={range} {...rest} />)}
      {each.length > REPEATED_MAX && <p className="muted">{panel.title}: {each.length - REPEATED_MAX} more values of {variable.name}, choose fewer to see them.</p>}
    </>
  );
}

/** A panel of a dashboard, or one for each chosen value of the variable that it is repeated for. */
export function DashboardPanel({ variables, ...rest }: Props): ReactElement {
  const variable = variables.find(({ name }) => name === rest.panel.repeat);
  return variable ? <Repeated variable={variable} {...rest} /> : <One {...rest} />;
}
