import { useState, type FormEvent, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import { useAction } from "../../lib/useAction";
import { navigate } from "../../router/router";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { rankProblem } from "./contingency";
import { ContingencyFields } from "./ContingencyForm";
import { keyProblem, KINDS } from "./kinds";
import { blank, updateOf, withKind, type NewFlag, type ValueType } from "./newFlag";
import { OfferFields } from "./OptInOffer";
import { ProjectField } from "./ProjectField";

const TYPES: [ValueType, string][] = [
  ["bool", "bool: on or off"],
  ["string", "string: one of several texts"],
  ["int", "int: a whole number"],
  ["float", "float: a number"],
  ["object", "object: JSON"],
];

interface PartProps {
  flag: NewFlag;
  set: (change: Partial<NewFlag>) => void;
}

/** What it answers, whose it is and how long it lives. */
function Life({ flag, set }: PartProps): ReactElement {
  return (
    <div className="form-row">
      <Field label="Value">
        <select value={flag.type} onChange={(event) => set({ type: event.target.value as ValueType })}>
          {TYPES.map(([name, text]) => <option key={name} value={name}>{text}</option>)}
        </select>
      </Field>
      <ProjectField value={flag.project} onChange={(project) => set({ project })} />
      <Field label="Owner"><input className="short" value={flag.owner} maxLength={100} onChange={(event) => set({ owner: event.target.value })} /></Field>
      <Field label="Gone by"><input type="date" value={flag.expires} onChange={(event) => set({ expires: event.target.value })} /></Field>
    </div>
  );
}

/** What most flags do without: a place on the page for bad days, an offer to people. */
function Extras({ flag, set }: PartProps): ReactElement {
  return (
    <fieldset className="choices">
      <legend>Also</legend>
      <label className="choice">
        <input type="checkbox" checked={flag.contingent} onChange={(event) => set({ contingent: event.target.checked })} />
        <span><span className="strong">contingency</span> <span className="muted">Can be switched off on a bad day; listed on the page Contingency.</span></span>
      </label>
      {flag.contingent && <div className="chosen"><ContingencyFields value={flag.contingency} onChange={(contingency) => set({ contingency })} /></div>}
      <label className="choice">
        <input type="checkbox" checked={flag.offered} onChange={(event) => set({ offered: event.target.checked })} />
        <span><span className="strong">self opt-in</span> <span className="muted">People switch it for themselves on the page For me, wherever it is on.</span></span>
      </label>
      {flag.offered && <div className="chosen"><OfferFields value={flag.offer} onChange={(offer) => set({ offer })} /></div>}
    </fieldset>
  );
}

/** Why it cannot be made yet; null when it can. */
function obstacle(key: string, problem: string | null, flag: NewFlag): string | null {
  if (problem) return "The key cannot be used.";
  if (key === "") return "A key is needed.";
  if (flag.description === "") return "Say in a few words what it is for.";
  if (flag.contingent) return rankProblem(flag.contingency.rank);
  return null;
}

interface Props {
  open: boolean;
  onClose: () => void;
  taken: readonly string[];
  /** The project to begin with. */
  project: string;
}

/** A new flag is off everywhere. */
export function CreateFlag({ open, onClose, taken, project }: Props): ReactElement {
  const { person } = useSession();
  const [key, setKey] = useState("");
  const [flag, setFlag] = useState(() => blank(person.login, project, Date.now()));
  const set = (change: Partial<NewFlag>): void => setFlag((now) => ({ ...now, ...change }));
  const { busy, run } = useAction("flag.");
  const problem = keyProblem(key, taken);
  const why = obstacle(key, problem, flag);
  const create = async (): Promise<void> => {
    const made = await run(() => flags.create(key, updateOf(flag)), `Flag ${key} is made; it is off everywhere.`);
    if (made) navigate(`/flags/${encodeURIComponent(key)}`);
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
          <input required maxLength={300} value={flag.description} placeholder="The checkout in one page" onChange={(event) => set({ description: event.target.value })} />
        </Field>
        <fieldset className="choices">
          <legend>Kind</legend>
          {KINDS.map(({ name, text, does }) => (
            <label key={name} className="choice">
              <input type="radio" name="kind" value={name} checked={flag.kind === name} onChange={() => setFlag((now) => withKind(now, name, Date.now()))} />
              <span><span className="strong">{text}</span> <span className="muted">{does}</span></span>
            </label>
          ))}
        </fieldset>
        <Life flag={flag} set={set} />
        <Extras flag={flag} set={set} />
        <div><ActionButton look="primary" busy={busy} why={why} onClick={() => void create()}>Make the flag</ActionButton></div>
      </form>
    </Dialog>
  );
}
