import { useState, type FormEvent, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { FlagKind } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { navigate } from "../../router/router";
import { useSession } from "../../shell/session";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";

/** A new flag is off everywhere. */
export function CreateFlag({ open, onClose }: { open: boolean; onClose: () => void }): ReactElement {
  const { person } = useSession();
  const [key, setKey] = useState("");
  const [description, setDescription] = useState("");
  const [kind, setKind] = useState<FlagKind>("release");
  const { busy, run } = useAction("flag.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const flag = await run(() => flags.put(key, { description, kind, owner: person.login, value_type: "bool" }), `Flag ${key} is made; it is off everywhere.`);
    if (flag) navigate(`/flags/${encodeURIComponent(key)}`);
  };
  return (
    <Dialog open={open} onClose={onClose} title="New flag">
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Key" hint="What the code asks for: lower-case letters, digits, _ . and -">
          <input required pattern="[a-z0-9][a-z0-9_.\-]*" maxLength={100} autoComplete="off" spellCheck={false} value={key} onChange={(event) => setKey(event.target.value)} />
        </Field>
        <Field label="Description">
          <input required maxLength={300} value={description} onChange={(event) => setDescription(event.target.value)} />
        </Field>
        <Field label="Kind">
          <select value={kind} onChange={(event) => setKind(event.target.value as FlagKind)}>
            <option value="release">release: hides unfinished work</option>
            <option value="experiment">experiment: compares variants</option>
            <option value="operational">operational: degrades under load</option>
            <option value="kill_switch">kill switch: turns a feature off at once</option>
            <option value="permission">permission: for some people only</option>
          </select>
        </Field>
        <div><button type="submit" className="button primary" disabled={busy}>Make the flag</button></div>
      </form>
    </Dialog>
  );
}
