import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { Flag } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { ActionButton } from "../../ui/Action";
import { Section } from "../../ui/Section";
import { ContingencyForm } from "./ContingencyForm";

/** Where a flag stands on the page for bad days, and the way onto it and off it. */
export function ContingencyRank({ flag }: { flag: Flag }): ReactElement {
  const [editing, setEditing] = useState(false);
  const { busy, run } = useAction("flag.");
  const known = flag.contingency;
  const remove = (): void => void run(() => flags.put(flag.key, { contingency: null }), `${flag.key} has no rank any more.`);
  const page = <Link className="inline-link" to="/flags/contingency">page for bad days</Link>;
  return (
    <Section title="Contingency">
      {known ? (
        <>
          <p>Rank {known.rank} on the {page}; 1 is switched off first.</p>
          <dl className="facts">
            <dt>People notice</dt><dd>{known.impact || <span className="muted">nobody wrote it down</span>}</dd>
            <dt>Goes on</dt><dd>{known.degrades || <span className="muted">nobody wrote it down</span>}</dd>
          </dl>
        </>
      ) : (
        <p className="muted">{flag.kind === "kill_switch" ? <>On the {page}, without a rank.</> : <>Not on the {page}.</>}</p>
      )}
      <div className="buttons">
        <button type="button" className="button small" onClick={() => setEditing(true)}>{known ? "Edit the rank" : "Give it a rank"}</button>
        {known && <ActionButton small busy={busy} onClick={remove}>Take the rank away</ActionButton>}
      </div>
      <ContingencyForm flag={flag} open={editing} onClose={() => setEditing(false)} />
    </Section>
  );
}
