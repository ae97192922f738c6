import { useState, type ReactElement } from "react";
import type { FlagExplanation, FlagPreviewIds } from "../../../api/types";
import { count } from "../../../lib/units";
import { Status } from "../../../ui/basics";
import { Field } from "../../../ui/Field";
import { Section } from "../../../ui/Section";
import { Words } from "../../../ui/Words";
import { IDS_MAX, readIds, someIds } from "./context";
import type { Previewed } from "./usePreview";

function Part({ text, found, holds }: { text: string; found?: string | null | undefined; holds: boolean }): ReactElement {
  return (
    <li className={holds ? "part" : "part fails"}>
      <Status look={holds ? "ok" : "critical"}>{holds ? "yes" : "no"}</Status>
      <span><Words>{text}</Words>{found !== undefined && found !== null && <span className="muted"> (it is <code className="wrap-any">{found}</code>)</span>}</span>
    </li>
  );
}

/** The answer, the sentence that says what decided, and every condition with whether it is met. */
function Explained({ title, of }: { title: string; of: FlagExplanation }): ReactElement {
  const { answer } = of;
  return (
    <section className="explained" aria-label={title}>
      <h3>{title}</h3>
      <p>
        <Status look={answer.enabled ? "ok" : "quiet"}>{answer.enabled ? "On" : "Off"}</Status>{" "}
        {answer.variant !== "on" && answer.variant !== "off" && <span className="tag">{answer.variant}</span>} <code className="wrap-any">{JSON.stringify(answer.value)}</code>
      </p>
      <p className="muted"><Words>{of.because}</Words></p>
      {of.parents.length > 0 && <ul aria-label="Parents">{of.parents.map((part, index) => <Part key={index} {...part} />)}</ul>}
      {of.strategies.map((strategy, index) => {
        const later = of.matched !== undefined && of.matched !== null && index > of.matched;
        return (
          <div key={index} className={later ? "muted" : undefined}>
            <p className="strong">Strategy {index + 1}: {later ? "not asked, an earlier one matched" : strategy.holds ? "matches" : "does not match"}</p>
            {!later && (
              <ul>
                {[...strategy.constraints, ...strategy.segments, strategy.rule].map((part, at) => <Part key={at} {...part} />)}
              </ul>
            )}
          </div>
        );
      })}
    </section>
  );
}

const share = (counts: Record<string, number>, asked: number): string =>
  Object.entries(counts).map(([what, n]) => `${what} ${count(n)} (${Math.round((n / asked) * 1000) / 10} %)`).join(", ");

const ROWS = 200;

function Many({ ids }: { ids: FlagPreviewIds }): ReactElement {
  const moved = ids.edited ? ids.rows.filter(({ saved, edited }) => saved !== edited) : [];
  const list = moved.length > 0 ? moved : ids.rows.filter(({ saved, edited }) => (edited ?? saved) !== "off");
  return (
    <div className="stack tight" role="group" aria-label="Of these ids">
      {ids.saved && <p>Saved: {share(ids.saved, ids.asked)}</p>}
      {ids.edited && <p>Edited: {share(ids.edited, ids.asked)}. {moved.length > 0 ? `${count(moved.length)} of ${count(ids.asked)} get something else.` : "Nobody gets anything else."}</p>}
      {list.length > 0 && (
        <details>
          <summary>{moved.length > 0 ? "Who gets something else" : "Who gets it"}</summary>
          <div className="scroll" tabIndex={0} role="group" aria-label="Ids">
            <table>
              <thead><tr><th scope="col">Id</th><th scope="col">Saved</th>{ids.edited && <th scope="col">Edited</th>}</tr></thead>
              <tbody>{list.slice(0, ROWS).map((row) => <tr key={row.id}><td className="wrap-any">{row.id}</td><td className="fit">{row.saved ?? "—"}</td>{ids.edited && <td className="fit">{row.edited}</td>}</tr>)}</tbody>
            </table>
            {list.length > ROWS && <p className="muted">and {count(list.length - ROWS)} more</p>}
          </div>
        </details>
      )}
    </div>
  );
}

interface Props {
  previewed: Previewed;
  context: string;
  ids: string;
  onContext: (text: string) => void;
  onIds: (text: string) => void;
}

/** "Who gets it?", of the flag as saved and as edited, side by side, with the reason. */
export function Preview({ previewed, context, ids, onContext, onIds }: Props): ReactElement {
  const [many, setMany] = useState(ids !== "");
  const { answer, problem } = previewed;
  const asked = readIds(ids).length;
  return (
    <Section title="Who gets it?" end={<span className="muted">asks nothing of clients, changes nothing</span>}>
      <Field label="Context" hint="userId=42 country=DE plan=pro, or JSON">
        <textarea rows={context.startsWith("{") ? 4 : 1} value={context} spellCheck={false} onChange={(event) => onContext(event.target.value)} />
      </Field>
      <div aria-live="polite" aria-busy={previewed.asking} className="stack tight">
        {problem && <p className="form-error">{problem}</p>}
        {answer && (answer.saved || answer.edited) && (
          <div className={answer.edited ? "side-by-side" : ""}>
            {answer.saved && <Explained title={answer.edited ? "As saved" : "Now"} of={answer.saved} />}
            {answer.edited && <Explained title="As edited" of={answer.edited} />}
          </div>
        )}
        {answer?.refused && !answer.edited && <p className="muted">The edit is not evaluated: the server would refuse it.</p>}
        {many ? (
          <>
            <Field label={`Ids in place of userId (${count(asked)})`} hint={asked > IDS_MAX ? `${count(asked)} are more than ${count(IDS_MAX)}` : "One a line, at most 1,000."}>
              <textarea rows={3} value={ids} spellCheck={false} onChange={(event) => onIds(event.target.value)} />
            </Field>
            <div className="buttons">
              <button type="button" className="button small" onClick={() => onIds(someIds())}>Try 1,000 made-up ids</button>
              <button type="button" className="button small" onClick={() => { onIds(""); setMany(false); }}>One only</button>
            </div>
            {answer?.ids && <Many ids={answer.ids} />}
          </>
        ) : (
          <div><button type="button" className="button small" onClick={() => setMany(true)}>How many of a list of ids?</button></div>
        )}
      </div>
    </Section>
  );
}
