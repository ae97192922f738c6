import { useEffect, useRef, useState, type ReactElement } from "react";
import { useParams } from "../../router/router";
import { Field } from "../../ui/Field";

const TYPED_MS = 250;

/** Search and state above a long list; both stand in the address. */
export function ListFilter({ what, states, placeholder }: { what: string; states: [string, string][]; placeholder: string }): ReactElement {
  const params = useParams();
  const q = params.get("q");
  const [text, setText] = useState(q);
  const written = useRef(q);
  useEffect(() => {
    if (text === written.current) return undefined;
    const timer = window.setTimeout(() => {
      written.current = text;
      params.set({ q: text || null });
    }, TYPED_MS);
    return () => window.clearTimeout(timer);
    // Only what is typed is waited for.
  }, [text]);
  useEffect(() => {
    // Somebody followed a link or went back: what stands here is what is listed.
    if (q === written.current) return;
    written.current = q;
    setText(q);
  }, [q]);
  return (
    <div className="filters" role="search" aria-label={what}>
      <Field label="Search"><input type="search" maxLength={200} value={text} placeholder={placeholder} onChange={(event) => setText(event.target.value)} /></Field>
      <Field label="State">
        <select value={params.get("state")} onChange={(event) => params.set({ state: event.target.value || null })}>
          {states.map(([state, word]) => <option key={state} value={state}>{word}</option>)}
        </select>
      </Field>
    </div>
  );
}
