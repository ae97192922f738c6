import type { ReactElement } from "react";
import type { Exemplar } from "../api/promql";
import { stamp, absolute } from "../lib/zone";
import { Copy } from "../ui/basics";
import { hrefOf, traceOf, valueText } from "./exemplars";
import { tipPlace } from "./MarkerTip";

interface TipProps {
  left: number;
  width: number;
  exemplar: Exemplar;
  unit: string;
  /** A press opens it. */
  picks: boolean;
}

/** What one exemplar says, beside the pointer. */
export function ExemplarTip({ left, width, exemplar, unit, picks }: TipProps): ReactElement {
  const trace = traceOf(exemplar);
  return (
    <div className="chart-tip" style={tipPlace(left, width)}>
      <p><strong>{valueText(exemplar.value, unit)}</strong> <span className="muted">{stamp(exemplar.time * 1000, Date.now(), true)}</span></p>
      {trace && <p className="wrap-any"><span className="muted">{trace[0]}</span> {trace[1]}</p>}
      {picks && <p className="muted small">Press for its labels and links.</p>}
    </div>
  );
}

export function LabelValue({ value }: { value: string }): ReactElement {
  const href = hrefOf(value);
  return href ? <a className="inline-link wrap-any" href={href} target="_blank" rel="noreferrer noopener">{value}</a> : <code className="wrap-any">{value}</code>;
}

/** A chosen exemplar under its graph: value, instant, trace, and every label. */
export function ExemplarDetail({ exemplar, unit, onClose }: { exemplar: Exemplar; unit: string; onClose: () => void }): ReactElement {
  const trace = traceOf(exemplar);
  const own = Object.entries(exemplar.labels).filter(([name]) => name !== trace?.[0]);
  return (
    <div className="exemplar" role="group" aria-label="Exemplar">
      <div className="chart-head">
        <strong>{valueText(exemplar.value, unit)}</strong>
        <span className="muted">{absolute(exemplar.time * 1000)}</span>
        <button type="button" className="button end" aria-label="Close the exemplar" onClick={onClose}>close</button>
      </div>
      <dl className="facts">
        {trace && (
          <>
            <dt>{trace[0]}</dt>
            <dd><LabelValue value={trace[1]} /> <Copy text={trace[1]} /></dd>
          </>
        )}
        {own.map(([name, value]) => <Fact key={name} name={name} value={value} />)}
        <dt>series</dt>
        <dd className="mono wrap-any">{Object.entries(exemplar.series).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(" ")}</dd>
      </dl>
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }): ReactElement {
  return (
    <>
      <dt>{name}</dt>
      <dd><LabelValue value={value} /></dd>
    </>
  );
}
