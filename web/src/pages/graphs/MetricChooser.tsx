import { useMemo, useState, type FormEvent, type ReactElement } from "react";
import { families, metricNames, type Family } from "../../api/promql";
import { useQuery } from "../../api/useQuery";
import { foundBy } from "../../lib/search";
import { count, plural } from "../../lib/units";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loaded } from "../../ui/Section";

/** More rows than this are not read, but searched. */
const ROWS_MAX = 100;

/** What stands behind the name of a family in those of its series. */
const SUFFIX = /_(?:bucket|sum|count|total|created|info)$/;

export interface Found {
  name: string;
  family: Family | undefined;
}

/** Metrics in whose name, or in what is said of them, each word stands; those with all of them in the name first. */
export function searched(names: string[], known: Map<string, Family>, text: string): Found[] {
  const all = names.map((name): Found => ({ name, family: known.get(name) ?? known.get(name.replace(SUFFIX, "")) }));
  return foundBy(all, text, ({ name }) => name, ({ family }) => family?.help ?? "");
}

const NONE = new Map<string, Family>();

function Search({ onChoose }: { onChoose: (name: string) => void }): ReactElement {
  const [text, setText] = useState("");
  const names = useQuery("metric-names", metricNames);
  // Without them the names alone are searched.
  const { data: known = NONE } = useQuery("metric-families", families);
  const found = useMemo(() => searched(names.data ?? [], known, text), [names.data, known, text]);
  const first = found[0];
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    // React tells the form around the button as well, which would ask what is typed there.
    event.stopPropagation();
    if (first && text.trim()) onChoose(first.name);
  };
  return (
    <form className="stack" onSubmit={submit}>
      <Field label="Words of its name or description" hint="Enter takes the first"><input type="search" value={text} autoFocus onChange={(event) => setText(event.target.value)} /></Field>
      <Loaded query={names}>
        {(all) => (
          <>
            <p className="muted small" role="status">{found.length === all.length ? plural(all.length, "metric") : `${count(found.length)} of ${plural(all.length, "metric")}`}</p>
            {found.length > 0 && (
              <div className="chart-table" tabIndex={0} role="region" aria-label="Metrics found">
                <table>
                  <thead><tr><th scope="col">Metric</th><th scope="col">Kind</th><th scope="col">What it is</th></tr></thead>
                  <tbody>
                    {found.slice(0, ROWS_MAX).map(({ name, family }) => (
                      <tr key={name}>
                        <td className="wrap-any"><button type="button" className="button small mono" onClick={() => onChoose(name)}>{name}</button></td>
                        <td className="fit muted">{family?.type ?? ""}</td>
                        <td>{family?.help ?? ""}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
                {found.length > ROWS_MAX && <p className="muted small">and {count(found.length - ROWS_MAX)} more: add a word</p>}
              </div>
            )}
          </>
        )}
      </Loaded>
    </form>
  );
}

/** A button that opens all metrics with their kinds and descriptions, to search in. */
export function MetricChooser({ onChoose }: { onChoose: (name: string) => void }): ReactElement {
  const [open, setOpen] = useState(false);
  const close = (): void => setOpen(false);
  return (
    <>
      <button type="button" className="button" aria-haspopup="dialog" onClick={() => setOpen(true)}>Find a metric</button>
      <Dialog open={open} onClose={close} title="Metrics" wide>
        {open && <Search onChoose={(name) => { close(); onChoose(name); }} />}
      </Dialog>
    </>
  );
}
