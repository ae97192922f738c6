import type { ReactElement } from "react";
import { Field } from "../../ui/Field";
import { AFTER_S_MAX, NEXT_AFTER_S, channelOf, defaultRules, waysOf, type MethodRow, type Reach, type RulesOf } from "./reach";

interface RulesFormProps { form: Reach; set: (form: Reach) => void; which: RulesOf; title: string }

/** In which order the ways ring for one kind of page, and how long each waits for an acknowledgement. */
export function RulesForm({ form, set, which, title }: RulesFormProps): ReactElement {
  const rows = form[which];
  const put = (next: MethodRow[]): void => set({ ...form, [which]: next });
  const ways = waysOf(form);
  const free = ways.find((name) => !rows.some(({ channel }) => channel === name));
  const last = rows.at(-1);
  const add = (): void => {
    if (free) put([...rows, { channel: free, after: last ? String(Math.min((Number(last.after) || 0) + NEXT_AFTER_S, AFTER_S_MAX)) : "0" }]);
  };
  return (
    <fieldset className="choices">
      <legend>{title}</legend>
      {rows.length === 0 && <p className="muted">The first way at once, each further one {NEXT_AFTER_S} s after the one before, until somebody acknowledges{ways.length > 0 ? `: ${ways.map((name) => channelOf(name).text).join(", ")}` : ""}.</p>}
      {rows.map((row, index) => {
        const text = channelOf(row.channel).text;
        const change = (to: Partial<MethodRow>): void => put(rows.map((one, i) => (i === index ? { ...one, ...to } : one)));
        return (
          <div key={row.channel} className="form-row way" role="group" aria-label={`${title}: ${text}`}>
            <Field label="Way">
              <select value={row.channel} onChange={(event) => change({ channel: event.target.value })}>
                {ways.filter((name) => name === row.channel || !rows.some(({ channel }) => channel === name)).map((name) => <option key={name} value={name}>{channelOf(name).text}</option>)}
              </select>
            </Field>
            <Field label="After seconds" hint={index === 0 ? "The first goes at once." : undefined}>
              <input type="number" required min={index === 0 ? 0 : Number(rows[index - 1]?.after) || 0} max={index === 0 ? 0 : AFTER_S_MAX} value={row.after} onChange={(event) => change({ after: event.target.value })} />
            </Field>
            <button type="button" className="button" onClick={() => put(rows.flatMap((one, i) => (i === index ? [] : [i === 1 && index === 0 ? { ...one, after: "0" } : one])))} aria-label={`${title}: remove ${text}`}>Remove</button>
          </div>
        );
      })}
      <div className="buttons">
        {rows.length === 0
          ? <button type="button" className="button" disabled={ways.length === 0} onClick={() => put(defaultRules(form))}>Choose the order</button>
          : <button type="button" className="button" disabled={!free} onClick={add}>Add a way</button>}
      </div>
    </fieldset>
  );
}
