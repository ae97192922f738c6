import { useState, type FormEvent, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { FlagKind, FlagUpdate } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { navigate } from "../../router/router";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { expiryOf, keyProblem, KINDS } from "./kinds";

const TYPES: [NonNullable<FlagUpdate["value_type"]>, string][] = [
  ["bool", "bool: on or off"],
  ["string", "string: one of several texts"],
  ["int", "int: a whole number"],
  ["float", "float: a number"],
  ["object", "object: JSON"],
];

/** A new flag is off everywhere. */
export function CreateFlag({ open, onClose, taken }: { open: boolean; onClose: () => void; taken: readonly string[] }): ReactElement {
  const { person } = useSession();
  const [key, setKey] = useState("");
  const [description, setDescription] = useState("");
  const [kind, setKind] = useState<FlagKind>("release");
  const [type, setType] = useState<NonNullable<FlagUpdate["value_type"]>>("bool");
  const [expires, setExpires] = useState(() => expiryOf("release", Date.now()));
  const [owner, setOwner] = useState(person.login);
  const { busy, run } = useAction("flag.");
  const problem = keyProblem(key, taken);
  const why = problem ? "The key cannot be used." : key === "" ? "A key is needed." : description === "" ? "Say in a few words what it is for." : null;
  const create = async (): Promise<void> => {
    const body: FlagUpdate = { description, kind, owner, value_type: type, ...(expires ? { expires_at: `${expires}T00:00:00Z` } : {}) };
    const flag = await run(() => flags.create(key, body), `Flag ${key} is made; it is off everywhere.`);
    if (flag) navigate(`/flags/${encodeURIComponent(key)}`);
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!why && !busy) void create();
  };
  return (
    <Dialog open={open} onClose={onClose} title="New flag">
      <form className="form" onSubmit={submit}>
        <Field label="Key" hint="What the code asks for, and what it is called for good: like new_checkout">
          <input required maxLength={100} autoComplete="off" spellCheck={false} value={key} aria-invalid={problem ? true : undefined} onChange={(event) => setKey(event.target.value)} />
        </Field>
        <p className="form-error" role="status">{problem}</p>
        <Field label="Description">
          <input required maxLength={300} value={description} placeholder="The checkout in one page" onChange={(event) => setDescription(event.target.value)} />
        </Field>
        <fieldset className="choices">
          <legend>Kind</legend>
          {KINDS.map(({ name, text, does }) => (
            <label key={name} className="choice">
              <input type="radio" name="kind" value={name} checked={kind === name} onChange={() => { setKind(name); setExpires(expiryOf(name, Date.now())); }} />
              <span><span className="strong">{text}</span> <span className="muted">{does}</span></span>
            </label>
          ))}
        </fieldset>
        <div className="form-row">
          <Field label="Value">
            <select value={type} onChange={(event) => setType(event.target.value as typeof type)}>
              {TYPES.map(([name, text]) => <option key={name} value={name}>{text}</option>)}
            </select>
          </Field>
          <Field label="Owner"><input value={owner} maxLength={100} onChange={(event) => setOwner(event.target.value)} /></Field>
          <Field label="Gone by"><input type="date" value={expires} onChange={(event) => setExpires(event.target.value)} /></Field>
        </div>
        <div><ActionButton look="primary" busy={busy} why={why} onClick={() => void create()}>Make the flag</ActionButton></div>
      </form>
    </Dialog>
  );
}
