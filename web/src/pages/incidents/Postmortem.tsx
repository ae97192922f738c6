import { useState, type ReactElement } from "react";
import { incidents } from "../../api/endpoints";
import type { Finding } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Copy, Status } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loaded } from "../../ui/Section";

/** The draft may be worked on here before it is copied; the reviewer asks better questions, it never blocks. */
function Draft({ draft }: { draft: string }): ReactElement {
  const [text, setText] = useState(draft);
  const [findings, setFindings] = useState<Finding[] | null>(null);
  const { busy, run } = useAction();
  return (
    <>
      <p className="muted">Roles stand for names. Two or more contributing factors, no root cause.</p>
      <Field label="Draft"><textarea rows={20} value={text} onChange={(event) => setText(event.target.value)} /></Field>
      <div className="buttons">
        <Copy text={text} label="Copy Markdown" />
        <ActionButton small busy={busy} onClick={() => void run(() => incidents.review(text)).then((found) => found && setFindings(found.items))}>Review the language</ActionButton>
      </div>
      {findings && (
        <ul role="status">
          {findings.length === 0 && <li><Status look="ok">Nothing to ask</Status></li>}
          {findings.map((finding) => (
            <li key={`${finding.line}-${finding.column}`}>
              <Status look="warning">Line {finding.line}</Status> “{finding.excerpt}” <span className="muted">{finding.ask}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** What the record writes by itself: facts in order, questions left open. */
export function Postmortem({ number, open, onClose }: { number: number; open: boolean; onClose: () => void }): ReactElement {
  const query = useQuery(open ? `postmortem:${number}` : null, () => incidents.postmortem(number));
  return (
    <Dialog open={open} onClose={onClose} title={`Postmortem draft of incident ${number}`} wide>
      {open && <Loaded query={query}>{(text) => <Draft key={text.length} draft={text} />}</Loaded>}
    </Dialog>
  );
}
