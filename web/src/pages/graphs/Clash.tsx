import type { ReactElement } from "react";
import type { Dashboard } from "../../api/types";
import { Status, Time } from "../../ui/basics";
import { ActionButton } from "../../ui/Action";
import { differences } from "./differences";

interface Props {
  /** What the edit was made of, and what stands there now; null when it was deleted. */
  base: Dashboard;
  theirs: Dashboard | null;
  busy: boolean;
  onOver: () => void;
  onDrop: () => void;
}

/** Somebody else saved or deleted the dashboard that is being edited: what they did, and what becomes of one's own. */
export function Clash({ base, theirs, busy, onOver, onDrop }: Props): ReactElement {
  const there = theirs && !theirs.generated;
  const changes = there ? differences(base, theirs) : [];
  return (
    <div className="problem" role="alert">
      {there ? (
        <Status look="warning">{theirs.saved_by ?? "Somebody"} saved this dashboard <Time at={theirs.saved_at} />, while you were editing.</Status>
      ) : (
        <Status look="warning">Somebody deleted this dashboard while you were editing.</Status>
      )}
      {changes.length > 0 && <ul aria-label="What they changed">{changes.map((text) => <li key={text}>{text}.</li>)}</ul>}
      <span className="buttons">
        {there && <a className="button small" href={`/graphs/${encodeURIComponent(base.name)}`} target="_blank" rel="noreferrer">Look at theirs</a>}
        <ActionButton small look="danger" busy={busy} onClick={onOver}>{there ? "Save mine over it" : "Save mine anew"}</ActionButton>
        <button type="button" className="button small" onClick={onDrop}>Drop mine</button>
      </span>
    </div>
  );
}
