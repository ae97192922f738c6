import { useState, type ReactElement } from "react";
import { flagLife, type HistoryItem } from "../../api/flagLife";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { ActionButton } from "../../ui/Action";
import { Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";

const ROWS = 20;

/** A value as short as it can be read. */
function Value({ value }: { value: unknown }): ReactElement {
  if (value === null || value === undefined) return <span className="muted">nothing</span>;
  return <code>{typeof value === "string" ? value : JSON.stringify(value)}</code>;
}

function Item({ flag, item }: { flag: string; item: HistoryItem }): ReactElement {
  const [open, setOpen] = useState(false);
  const { busy, run } = useAction("flag.");
  const revert = (): void => void run(() => flagLife.revert(flag, item.seq, "before"), `${flag} is as it was before event ${item.seq}.`);
  return (
    <li className="stack">
      <div className="buttons">
        <span><Time at={item.at} /> {item.text}</span>
        {item.changes.length > 0 && (
          <button type="button" className="button small" aria-expanded={open} aria-label={`${item.changes.length} ${item.changes.length === 1 ? "change" : "changes"} of event ${item.seq}`} onClick={() => setOpen(!open)}>
            {item.changes.length} {item.changes.length === 1 ? "change" : "changes"}
          </button>
        )}
        {item.can_revert && <ActionButton small busy={busy} label={`Take back event ${item.seq}`} onClick={revert}>Take back</ActionButton>}
      </div>
      {open && (
        <table className="stacks">
          <thead><tr><th scope="col">What</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
          <tbody>
            {item.changes.map((change) => (
              <tr key={change.path}>
                <td><code>{change.path}</code></td>
                <td><Value value={change.before} /></td>
                <td><Value value={change.after} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </li>
  );
}

/** Who changed what, with the difference, and the way back. */
export function FlagHistory({ flag }: { flag: string }): ReactElement {
  const query = useQuery(`flag:${flag}:history`, () => flagLife.history(flag, ROWS), { touches: ["flag."] });
  return (
    <Section title="History" end={<Link to={`/timeline?correlation=${encodeURIComponent(`flag:${flag}`)}`}>With data</Link>}>
      <Loaded query={query}>
        {({ items }) => (items.length === 0 ? <p className="muted">Never changed.</p> : <ol className="stack">{items.map((item) => <Item key={item.seq} flag={flag} item={item} />)}</ol>)}
      </Loaded>
    </Section>
  );
}
