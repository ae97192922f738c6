import { useEffect, useMemo, useRef, useState, type ReactElement } from "react";
import { askInstant, legend, severalMetrics, type HistogramSample, type InstantSample } from "../../api/promql";
import { useHeld } from "../../api/useHeld";
import { useQuery } from "../../api/useQuery";
import { compared } from "../../charts/columns";
import { isoTime, saveCsv, toCsv } from "../../charts/csv";
import { matcherOf } from "../../charts/filters";
import { Notes } from "../../charts/Notes";
import type { Range } from "../../charts/range";
import { count, exact, format, plural } from "../../lib/units";
import { stamp } from "../../lib/zone";
import { Loaded, Section } from "../../ui/Section";
import { SortHead } from "../../ui/SortHead";
import { TableWrap } from "../../ui/TableWrap";

const ROWS_MAX = 200;
/** Series with more labels are told in one column. */
const COLUMNS_MAX = 8;
const AGAIN_MS = 15_000;

/** The labels that are columns, the metric's name first; null when there are too many of them. */
export function columnsOf(samples: InstantSample[]): string[] | null {
  const names = new Set(samples.flatMap(({ labels }) => Object.keys(labels)));
  const metric = names.delete("__name__");
  const sorted = [...names].sort();
  return sorted.length > COLUMNS_MAX ? null : [...(metric ? ["__name__"] : []), ...sorted];
}

interface Order {
  /** A label; null of the value. */
  by: string | null;
  descending: boolean;
}

/** What a sample is sorted by; null of a text, and of a series without the label. */
const keyOf = ({ labels, value, histogram }: InstantSample, by: string | null): string | number | null => (by === null ? (histogram?.count ?? value) : (labels[by] ?? null));

export const ordered = (samples: InstantSample[], order: Order | null): InstantSample[] =>
  order ? [...samples].sort((one, other) => compared(keyOf(one, order.by), keyOf(other, order.by), order.descending)) : samples;

/** Pressed first, labels begin with the lowest and values with the highest; pressed again, the other way round. */
const pressed = (order: Order | null, by: string | null): Order => ({ by, descending: order?.by === by ? !order.descending : by === null });

const NO_SAMPLES: InstantSample[] = [];

const ends = ({ lower, upper }: { lower: number; upper: number }, unit: string): string => `${exact(lower, unit)} to ${exact(upper, unit)}`;

/** A native histogram: how much was observed, and in which buckets. */
function Histogram({ sample: { count: observed, sum, buckets }, unit }: { sample: HistogramSample; unit: string }): ReactElement {
  return (
    <details>
      <summary>{format(observed, "short")} observed, {exact(sum, unit)} in all</summary>
      <table>
        <thead><tr><th scope="col">Between</th><th scope="col" className="number">Observed</th></tr></thead>
        <tbody>{buckets.map((bucket) => <tr key={`${bucket.lower} ${bucket.upper}`}><td className="nowrap">{ends(bucket, unit)}</td><td className="number">{format(bucket.count, "short")}</td></tr>)}</tbody>
      </table>
    </details>
  );
}

function Value({ sample, unit }: { sample: InstantSample; unit: string }): ReactElement {
  if (sample.text !== undefined) return <code>{sample.text}</code>;
  const of = sample.samples === undefined ? "" : `, newest of ${plural(sample.samples, "sample")}`;
  if (sample.histogram) return <><Histogram sample={sample.histogram} unit={unit} />{of}</>;
  return <>{exact(sample.value, unit)}{of}</>;
}

const instantCsv = (samples: InstantSample[], columns: string[]): string =>
  toCsv([[...columns, "value"], ...samples.map(({ labels, value, text, histogram }) => [...columns.map((name) => labels[name] ?? ""), text ?? histogram?.count ?? (value === null || Number.isFinite(value) ? value : exact(value, "short"))])]);

interface LabelProps {
  name: string;
  value: string | undefined;
  onOnly: Props["onOnly"];
}

/** A label's value, which a press adds to the query. A metric's name is none of its matchers. */
function Label({ name, value, onOnly }: LabelProps): ReactElement {
  if (!value || !onOnly || name === "__name__") return <>{value ?? ""}</>;
  return <button type="button" className="sorts picked" title={`Only ${matcherOf(name, "=", value)}`} onClick={() => onOnly(name, value)}>{value}</button>;
}

interface Props {
  expr: string;
  title?: string;
  unit: string;
  range: Range;
  /** Asks only for series with a label's value. */
  onOnly?: (label: string, value: string) => void;
}

/** The series of an expression at the end of a range, or now where it moves. */
export function InstantTable({ expr, title, unit, range, onOnly }: Props): ReactElement {
  const [order, setOrder] = useState<Order | null>(null);
  const at = range.name ? undefined : range.toMs / 1000;
  // A question that was narrowed is drawn over the one before, so that whoever pressed a value stays on it.
  const answer = useHeld(useQuery(`instant:${at ?? "now"}:${expr}`, () => askInstant(expr, at), at === undefined ? { everyMs: AGAIN_MS } : {}));
  const { waits } = answer;
  const box = useRef<HTMLDivElement>(null);
  const picked = useRef(false);
  useEffect(() => {
    // What was pressed is in no row of the answer, or there is none.
    if (!picked.current || answer.loading) return;
    picked.current = false;
    if (document.activeElement === document.body) box.current?.focus();
  }, [answer.loading, answer.data]);
  const pick = onOnly && ((label: string, value: string): void => {
    picked.current = true;
    onOnly(label, value);
  });
  const when = at === undefined ? "Now" : `At ${stamp(range.toMs, Date.now(), true)}`;
  const told = answer.data?.samples ?? NO_SAMPLES;
  const found = useMemo(() => ordered(told, order), [told, order]);
  const head = (by: string | null, words: string): ReactElement =>
    <SortHead key={by} title={words} className={by === null ? "number" : undefined} way={order?.by === by ? (order.descending ? "descending" : "ascending") : null} onPress={() => setOrder(pressed(order, by))} />;
  const every = [...new Set(found.flatMap(({ labels }) => Object.keys(labels)))].sort();
  const save = (): void => saveCsv(instantCsv(found, every), `${expr} ${isoTime(at ?? Math.floor(Date.now() / 1000))}`);
  return (
    <Section title={title ? `${when}: ${title}` : when} end={waits ? <span className="muted">Loading…</span> : found.length > 0 && <button type="button" className="button small" onClick={save}>Save as csv</button>}>
      <div ref={box} tabIndex={-1} className="section" aria-busy={waits}>
        <Loaded query={answer}>
          {({ samples, notes }) => {
            const columns = columnsOf(samples);
            const named = severalMetrics(samples.map(({ labels }) => labels));
            return (
              <>
                <Notes notes={notes} />
                {samples.length === 0 ? <p className="muted">No series matches.</p> : (
                  <TableWrap>
                    <table>
                      <thead>
                        <tr>
                          {columns === null || columns.length === 0 ? <th scope="col">Series</th> : columns.map((name) => head(name, name === "__name__" ? "Metric" : name))}
                          {head(null, "Value")}
                        </tr>
                      </thead>
                      <tbody>
                        {found.slice(0, ROWS_MAX).map((sample) => (
                          <tr key={JSON.stringify(sample.labels)}>
                            {columns === null || columns.length === 0 ? <td className="mono wrap-any">{legend(null, sample.labels, named)}</td> : columns.map((name) => <td key={name} className="mono wrap-any"><Label name={name} value={sample.labels[name]} onOnly={pick} /></td>)}
                            <td className="number"><Value sample={sample} unit={unit} /></td>
                          </tr>
                        ))}
                      </tbody>
                    </table>
                  </TableWrap>
                )}
                {samples.length > ROWS_MAX && <p className="muted small">and {count(samples.length - ROWS_MAX)} more series: the file has all of them.</p>}
              </>
            );
          }}
        </Loaded>
      </div>
    </Section>
  );
}
