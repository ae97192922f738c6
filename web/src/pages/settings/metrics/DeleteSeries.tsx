import { useState, type ReactElement } from "react";
import { graphs } from "../../../api/endpoints";
import { useQuery } from "../../../api/useQuery";
import { useAction } from "../../../lib/useAction";
import { plural } from "../../../lib/units";
import { ActionButton } from "../../../ui/Action";
import { Command } from "../../../ui/basics";
import { Dialog } from "../../../ui/Dialog";
import { Field } from "../../../ui/Field";
import { Loaded } from "../../../ui/Section";
import { inShell } from "./selectors";

const DAY_MS = 86_400_000;
/** How old samples must be, in days. */
const AGES: [number, string][] = [[0, "All of them"], [1, "Older than a day"], [7, "Older than a week"], [30, "Older than 30 days"]];

/** Says what would be deleted, and deletes it. */
function Deletion({ selector, opened, onDone }: { selector: string; opened: number; onDone: () => void }): ReactElement {
  const [days, setDays] = useState(0);
  const { busy, run } = useAction("metrics.");
  const end = days === 0 ? null : new Date(opened - days * DAY_MS).toISOString();
  const query = useQuery(`deletion ${selector} ${end ?? ""}`, () => graphs.deleteSeries(selector, end, true), {});
  const remove = async (): Promise<void> => {
    const done = await run(() => graphs.deleteSeries(selector, end, false), (deleted) => `Samples of ${plural(deleted.series, "series", "series")} are deleted.`);
    if (done) onDone();
  };
  return (
    <div className="form">
      <p><code className="wrap-any">{selector}</code></p>
      <Field label="Samples"><select value={days} onChange={(event) => setDays(Number(event.target.value))}>{AGES.map(([value, text]) => <option key={value} value={value}>{text}</option>)}</select></Field>
      <Loaded query={query}>
        {(found) => (
          <>
            <p>{found.series === 0 ? "No series has such samples." : <>The samples of <strong>{plural(found.series, "series", "series")}</strong> would be gone from every answer for good. What is sent later is kept.</>}</p>
            {found.examples.length > 0 && <details><summary>Some of them</summary><ul>{found.examples.slice(0, 10).map((one) => <li key={one} className="wrap-any"><code>{one}</code></li>)}</ul></details>}
            <div className="buttons">
              <ActionButton look="danger" busy={busy} why={found.series === 0 ? "There is nothing to delete" : null} onClick={() => void remove()}>Delete for good</ActionButton>
            </div>
          </>
        )}
      </Loaded>
      <p className="muted">The same on the command line: <Command text={`tenfold metrics delete ${inShell(selector)}${end ? ` --end ${end}` : ""}`} /></p>
    </div>
  );
}

/** A way from a row to the deletion of its series. */
export function DeleteSeries({ what, selector }: { what: string; selector: string }): ReactElement {
  const [opened, setOpened] = useState<number | null>(null);
  const close = (): void => setOpened(null);
  return (
    <>
      <ActionButton small label={`Delete samples of ${what}`} onClick={() => setOpened(Date.now())}>Delete…</ActionButton>
      <Dialog open={opened !== null} onClose={close} title="Delete samples">
        {opened !== null && <Deletion selector={selector} opened={opened} onDone={close} />}
      </Dialog>
    </>
  );
}
