import { useState, type FormEvent, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import { ApiError } from "../../api/http";
import type { Evaluation } from "../../api/types";
import { Status } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

const EXAMPLE = '{ "userId": "42", "properties": { "country": "DE" } }';
const CONTEXTS_MAX = 20;

interface Row {
  who: string;
  answer: Evaluation;
}

/** One context, or a list of them. */
function contexts(text: string): Record<string, unknown>[] {
  const value: unknown = JSON.parse(text);
  const list = Array.isArray(value) ? value : [value];
  if (list.some((item) => typeof item !== "object" || item === null)) throw new Error("A context is an object.");
  return list.slice(0, CONTEXTS_MAX) as Record<string, unknown>[];
}

function nameOf(context: Record<string, unknown>, index: number): string {
  const known = context.userId ?? context.targetingKey ?? context.sessionId;
  return known === undefined ? `context ${index + 1}` : String(known);
}

/** "Who gets it?": the same evaluation as the clients do, for contexts somebody pastes. */
export function Preview({ flag, environment }: { flag: string; environment: string }): ReactElement {
  const [text, setText] = useState(EXAMPLE);
  const [rows, setRows] = useState<Row[]>([]);
  const [problem, setProblem] = useState("");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setProblem("");
    try {
      const asked = contexts(text);
      const answers = await Promise.all(asked.map((context) => flags.evaluate(flag, environment, context)));
      setRows(answers.map((answer, index) => ({ who: nameOf(asked[index]!, index), answer })));
    } catch (error) {
      setRows([]);
      setProblem(error instanceof ApiError ? `${error.message} ${error.advice}` : "This is not a context in JSON: write an object, or a list of objects.");
    }
  };
  return (
    <Section title="Who gets it?">
      <form className="stack" onSubmit={(event) => void submit(event)}>
        <Field label="Context" hint="JSON, or a list of up to 20. The answer is what a client would get now.">
          <textarea rows={2} value={text} spellCheck={false} onChange={(event) => setText(event.target.value)} />
        </Field>
        <div><button type="submit" className="button">Ask</button></div>
      </form>
      <div aria-live="polite">
        {problem && <p className="form-error">{problem}</p>}
        {rows.length > 0 && (
          <TableWrap>
          <table>
            <thead><tr><th scope="col">Who</th><th scope="col">Gets</th><th scope="col">Value</th><th scope="col">Because</th></tr></thead>
            <tbody>
              {rows.map(({ who, answer }, index) => (
                <tr key={`${index}-${who}`}>
                  <td>{who}</td>
                  <td className="fit"><Status look={answer.enabled ? "ok" : "quiet"}>{answer.enabled ? "On" : "Off"}</Status> {answer.variant && <span className="tag">{answer.variant}</span>}</td>
                  <td className="mono wrap-any">{answer.value === undefined || answer.value === null ? "" : JSON.stringify(answer.value)}</td>
                  <td>{answer.reason}</td>
                </tr>
              ))}
            </tbody>
          </table>
          </TableWrap>
        )}
      </div>
    </Section>
  );
}
