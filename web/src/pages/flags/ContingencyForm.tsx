import { useState, type FormEvent, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { Contingency, Flag } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { FIRST_RANK, RANK_MAX } from "./contingency";

const TEXT_MAX = 500;

/** What somebody needs to know before pressing: rank, impact, what degrades. */
export function ContingencyFields({ value, onChange }: { value: Contingency; onChange: (value: Contingency) => void }): ReactElement {
  const set = (change: Partial<Contingency>): void => onChange({ ...value, ...change });
  return (
    <>
      <Field label="Rank" hint="1 is switched off first: what people miss least.">
        <input type="number" required min={1} max={RANK_MAX} step={1} value={value.rank} onChange={(event) => set({ rank: Math.round(Number(event.target.value)) })} />
      </Field>
      <Field label="People notice" hint="What stops working for them while it is off.">
        <input maxLength={TEXT_MAX} value={value.impact ?? ""} onChange={(event) => set({ impact: event.target.value })} />
      </Field>
      <Field label="Goes on" hint="What still works without it, and how.">
        <input maxLength={TEXT_MAX} value={value.degrades ?? ""} onChange={(event) => set({ degrades: event.target.value })} />
      </Field>
    </>
  );
}

export function ContingencyForm({ flag, open, onClose }: { flag: Flag; open: boolean; onClose: () => void }): ReactElement {
  const [contingency, setContingency] = useState<Contingency>(flag.contingency ?? FIRST_RANK);
  const { busy, run } = useAction("flag.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const done = await run(() => flags.put(flag.key, { contingency }), `${flag.key} stands at rank ${contingency.rank}.`);
    if (done) onClose();
  };
  return (
    <Dialog open={open} onClose={onClose} title={`${flag.key} on a bad day`}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <ContingencyFields value={contingency} onChange={setContingency} />
        <div><button type="submit" className="button primary" disabled={busy}>Save</button></div>
      </form>
    </Dialog>
  );
}
