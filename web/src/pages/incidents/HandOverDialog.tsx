import { useState, type FormEvent, type ReactElement } from "react";
import { incidents, people } from "../../api/endpoints";
import type { Incident } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loaded } from "../../ui/Section";

/** Pages one person by name for an incident; nobody else has it then. */
export function HandOverDialog({ incident, onClose }: { incident: Incident; onClose: () => void }): ReactElement {
  const everybody = useQuery("people", () => people.list());
  const [to, setTo] = useState("");
  const [text, setText] = useState("");
  const { busy, run } = useAction("incident.", "page.", "alert.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const said = text.trim();
    const done = await run(() => incidents.handOver(incident.number, said ? { person: to, text: said } : { person: to }), `${to} is paged.`);
    if (done) onClose();
  };
  return (
    <Dialog open onClose={onClose} title={`Hand over incident ${incident.number}`}>
      <Loaded query={everybody}>
        {({ items }) => (
          <form className="form" onSubmit={(event) => void submit(event)}>
            <Field label="To" hint="They are paged at once. Who is on call is asked again when they do not acknowledge.">
              <select required value={to} onChange={(event) => setTo(event.target.value)}>
                <option value="">choose a person</option>
                {items.filter(({ login, disabled }) => !disabled && login !== incident.acknowledged_by).map(({ login, name }) => <option key={login} value={login}>{name} ({login})</option>)}
              </select>
            </Field>
            <Field label="What they should know"><textarea rows={2} maxLength={2000} value={text} onChange={(event) => setText(event.target.value)} /></Field>
            <div><button type="submit" className="button primary" disabled={busy || to === ""}>Hand over and page</button></div>
          </form>
        )}
      </Loaded>
    </Dialog>
  );
}
