import { useState, type FormEvent, type ReactElement } from "react";
import { incidents } from "../../api/endpoints";
import { useAction } from "../../lib/useAction";
import { useLacks } from "../../shell/session";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";

export function NoteForm({ number }: { number: number }): ReactElement {
  const [text, setText] = useState("");
  const { busy, run } = useAction("incident.");
  const why = useLacks("responder");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const done = await run(async () => { await incidents.note(number, text.trim()); return true; }, "The note is in the timeline.");
    if (done) setText("");
  };
  if (why) return <Section title="Note"><p className="muted">{why}</p></Section>;
  return (
    <Section title="Note">
      <form className="stack" onSubmit={(event) => void submit(event)}>
        <Field label="What you see or do"><textarea required rows={2} maxLength={2000} value={text} onChange={(event) => setText(event.target.value)} /></Field>
        <div><button type="submit" className="button" disabled={busy || text.trim() === ""}>Add to the timeline</button></div>
      </form>
    </Section>
  );
}
