import { useState, type FormEvent, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { Flag } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";

const RANK_MAX = 1000;
const TEXT_MAX = 500;

/** What somebody needs to know before pressing: rank, impact, what degrades. */
export function ContingencyForm({ flag, open, onClose }: { flag: Flag; open: boolean; onClose: () => void }): ReactElement {
  const [rank, setRank] = useState(flag.contingency?.rank ?? 1);
  const [impact, setImpact] = useState(flag.contingency?.impact ?? "");
  const [degrades, setDegrades] = useState(flag.contingency?.degrades ?? "");
  const { busy, run } = useAction("flag.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const done = await run(() => flags.put(flag.key, { contingency: { rank, impact, degrades } }), `${flag.key} stands at rank ${rank}.`);
    if (done) onClose();
  };
  return (
    <Dialog open={open} onClose={onClose} title={`${flag.key} on a bad day`}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Rank" hint="1 is thrown first: what people miss least.">
          <input type="number" required min={1} max={RANK_MAX} step={1} value={rank} onChange={(event) => setRank(Math.round(Number(event.target.value)))} />
        </Field>
        <Field label="People notice">
          <input maxLength={TEXT_MAX} value={impact} onChange={(event) => setImpact(event.target.value)} />
        </Field>
        <Field label="Goes on">
          <input maxLength={TEXT_MAX} value={degrades} onChange={(event) => setDegrades(event.target.value)} />
        </Field>
        <div><button type="submit" className="button primary" disabled={busy}>Save</button></div>
      </form>
    </Dialog>
  );
}
