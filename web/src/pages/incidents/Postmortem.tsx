import type { ReactElement } from "react";
import { incidents } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { Copy } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Loaded } from "../../ui/Section";

/** The draft the record writes by itself: roles instead of names, facts in order, questions left open. */
export function Postmortem({ number, open, onClose }: { number: number; open: boolean; onClose: () => void }): ReactElement {
  const query = useQuery(open ? `postmortem:${number}` : null, () => incidents.postmortem(number), { touches: ["incident."] });
  return (
    <Dialog open={open} onClose={onClose} title={`Postmortem draft of incident ${number}`} wide>
      {open && (
        <Loaded query={query}>
          {(text) => (
            <>
              <div className="buttons"><Copy text={text} label="Copy Markdown" /><span className="muted">Roles stand for names. Two or more contributing factors, no root cause.</span></div>
              <pre className="pre">{text}</pre>
            </>
          )}
        </Loaded>
      )}
    </Dialog>
  );
}
