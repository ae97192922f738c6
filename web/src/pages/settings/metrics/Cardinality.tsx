import { useState, type FormEvent, type ReactElement } from "react";
import { graphs } from "../../../api/endpoints";
import type { CardinalityView, CountedLabel, CountedSeries } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { count, format, plural } from "../../../lib/units";
import { Empty, Status } from "../../../ui/basics";
import { Field } from "../../../ui/Field";
import { Loaded, Section } from "../../../ui/Section";
import { TableWrap } from "../../../ui/TableWrap";
import { DeleteSeries } from "./DeleteSeries";
import { ofMetric, ofPair } from "./selectors";

const EVERY_MS = 30_000;

interface SeriesTableProps {
  what: string;
  items: CountedSeries[];
  selector: (name: string) => string;
  /** What the last figure counts. */
  last: "Active" | "Ended" | "Last hour";
}

function figure(item: CountedSeries, last: SeriesTableProps["last"]): number {
  if (last === "Last hour") return item.created_last_hour;
  return last === "Ended" ? item.series - item.active : item.active;
}

function SeriesTable({ what, items, selector, last }: SeriesTableProps): ReactElement {
  return (
    <TableWrap>
      <table className="stacks">
        <thead><tr><th scope="col">{what}</th><th scope="col" className="number">Series</th><th scope="col" className="number">{last}</th><th scope="col"><span className="sr-only">Do</span></th></tr></thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.name}>
              <td className="wrap-any">{item.name}</td>
              <td className="number fit" data-what="Series">{count(item.series)}</td>
              <td className="number fit" data-what={last}>{count(figure(item, last))}</td>
              <td className="fit"><DeleteSeries what={item.name} selector={selector(item.name)} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableWrap>
  );
}

function LabelTable({ items }: { items: CountedLabel[] }): ReactElement {
  return (
    <TableWrap>
      <table className="stacks">
        <thead><tr><th scope="col">Label</th><th scope="col" className="number">Values</th><th scope="col" className="number">Bytes of values in all series</th></tr></thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.label}><td className="wrap-any">{item.label}</td><td className="number fit" data-what="Values">{count(item.values)}</td><td className="number fit" data-what="Bytes">{format(item.bytes, "bytes")}</td></tr>
          ))}
        </tbody>
      </table>
    </TableWrap>
  );
}

function Series({ view }: { view: CardinalityView }): ReactElement {
  return (
    <Section title="Series">
      <p>
        {count(view.series)}, {count(view.active_series)} of them active (with samples in memory) of at most {count(view.series_max)}; {count(view.labels)} labels, {count(view.label_pairs)} pairs.{" "}
        {Math.max(view.active_series, view.series / 10) > view.series_max * 0.8 && <Status look="warning">Nearly full</Status>}
      </p>
      <SeriesTable what="Metric" items={view.metrics} selector={ofMetric} last="Active" />
    </Section>
  );
}

/** Metrics by words of their names, and those that nothing here asks for: what may be left out. */
function Find(): ReactElement {
  const [text, setText] = useState("");
  const [words, setWords] = useState("");
  const [unnamed, setUnnamed] = useState(false);
  const asked = words !== "" || unnamed;
  const query = useQuery(asked ? `metric-names:${unnamed}:${words}` : null, () => graphs.metricNames(words, unnamed), { touches: ["metrics."] });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setWords(text.trim());
  };
  return (
    <Section title="Find metrics">
      <form className="form-row" onSubmit={submit}>
        <Field label="Words of the name"><input type="search" value={text} onChange={(event) => setText(event.target.value)} /></Field>
        <label className="inline"><input type="checkbox" checked={unnamed} onChange={(event) => setUnnamed(event.target.checked)} /> only those that nothing here asks for</label>
        <button type="submit" className="button">Find</button>
      </form>
      {asked && (
        <Loaded query={query}>
          {({ found, series, items }) => (
            <>
              <p role="status">{plural(found, "metric")} with {count(series)} series{items.length < found && `; those with the most series are the ${items.length} below`}.</p>
              {unnamed && <p className="muted">No dashboard, rule, permit, ramp or plan of ramps here names them. A query for nearly any name (<code>{'{__name__!~"go_.*"}'}</code>) counts as naming none. What pipelines of services and other programs ask is not known: look there before you delete.</p>}
              {items.length > 0 && <SeriesTable what="Metric" items={items} selector={ofMetric} last="Active" />}
            </>
          )}
        </Loaded>
      )}
    </Section>
  );
}

/** What comes and goes: series of the last hour, and those that ended. */
function Churn({ view }: { view: CardinalityView }): ReactElement {
  return (
    <>
      <Section title="New series">
        <p>{count(view.created_last_hour)} came within the last hour.</p>
        {view.created.length > 0 && <SeriesTable what="Metric" items={view.created} selector={ofMetric} last="Last hour" />}
      </Section>
      <Section title="Ended series">
        {view.churn.length === 0 ? <Empty title="Every series is alive." /> : <SeriesTable what="Metric" items={view.churn} selector={ofMetric} last="Ended" />}
      </Section>
    </>
  );
}

/** Where the series are: what to look at before the limit is reached. */
export function Cardinality(): ReactElement {
  const query = useQuery("cardinality", graphs.cardinality, { everyMs: EVERY_MS, touches: ["metrics."] });
  return (
    <Loaded query={query}>
      {(view) => (
        <>
          <Series view={view} />
          <Find />
          <Churn view={view} />
          <Section title="Labels by values"><LabelTable items={view.labels_by_values} /></Section>
          <Section title="Labels by bytes"><LabelTable items={view.labels_by_bytes} /></Section>
          <Section title="Label pairs"><SeriesTable what="Pair" items={view.pairs_by_series} selector={ofPair} last="Active" /></Section>
        </>
      )}
    </Loaded>
  );
}
