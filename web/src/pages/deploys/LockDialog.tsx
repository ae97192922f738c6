import { useState, type FormEvent, type ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import { toLocalInput } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { DURATIONS, KINDS, lockOf, NO_LOCK, type LockDraft } from "./lockForm";
import { lockWord } from "./locks";

interface LockDialogProps {
  open: boolean;
  onClose: () => void;
  service: string;
  environment: string;
  /** The commit that runs there: what a pin is for unless another is named. */
  runs?: string | null | undefined;
}

/** Lock, freeze or pin, each with its reason and its end. What is sent is the server's to accept. */
export function LockDialog({ open, onClose, service, environment, runs }: LockDialogProps): ReactElement {
  const [draft, setDraft] = useState<LockDraft>(NO_LOCK);
  const [wrong, setWrong] = useState<string | null>(null);
  const { busy, run } = useAction("lock.");
  const admin = useSession().person.role === "admin";
  const set = (change: Partial<LockDraft>): void => {
    setWrong(null);
    setDraft({ ...draft, ...change });
  };
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const body = lockOf(draft, service, environment, Date.now());
    if (typeof body === "string") return setWrong(body);
    const where = body.service === "*" ? `Everything in ${environment}` : service;
    const lock = await run(() => deploys.lock(body), (made) => `${where} ${made.from ? "will be" : "is"} ${lockWord(made).toLowerCase()}.`);
    if (!lock) return;
    setDraft(NO_LOCK);
    onClose();
  };
  const { kind } = draft;
  const now = toLocalInput(Date.now());
  return (
    <Dialog open={open} onClose={onClose} title={`Keep others out of ${service} in ${environment}`}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="What" hint={KINDS.find((one) => one.kind === kind)?.hint ?? ""}>
          <select value={kind} onChange={(event) => set({ kind: event.target.value as LockDraft["kind"], ...(event.target.value === "pin" && !draft.ref && runs ? { ref: runs.slice(0, 12) } : {}) })}>
            {KINDS.map((one) => <option key={one.kind} value={one.kind}>{one.text}</option>)}
          </select>
        </Field>
        <Field label="Reason" hint="Everybody who wants to deploy reads it.">
          <input required maxLength={200} value={draft.reason} onChange={(event) => set({ reason: event.target.value })} />
        </Field>
        {kind === "pin" && (
          <Field label="Commit, tag or branch" hint="Empty: the newest of the service's branch.">
            <input className="mono" maxLength={200} value={draft.ref} onChange={(event) => set({ ref: event.target.value })} />
          </Field>
        )}
        {kind === "freeze" && (
          <>
            <Field label="Begins" hint="Empty: now.">
              <input type="datetime-local" min={now} value={draft.from} onChange={(event) => set({ from: event.target.value })} />
            </Field>
            <label>
              <input type="checkbox" checked={draft.everything} disabled={!admin} onChange={(event) => set({ everything: event.target.checked })} /> All services in {environment} (*)
              {!admin && <span className="why"> an admin may</span>}
            </label>
          </>
        )}
        <div className="form-row">
          <Field label="For">
            <select value={draft.minutes} onChange={(event) => set({ minutes: event.target.value })}>
              {DURATIONS.map(([value, text]) => <option key={text} value={value}>{text}</option>)}
            </select>
          </Field>
          {draft.minutes === "" && (
            <Field label="Ends"><input type="datetime-local" required min={now} value={draft.until} onChange={(event) => set({ until: event.target.value })} /></Field>
          )}
        </div>
        {wrong && <p className="form-error" role="alert">{wrong}</p>}
        <div><button type="submit" className="button primary" disabled={busy}>{KINDS.find((one) => one.kind === kind)?.text} {draft.everything && kind === "freeze" ? "everything" : service}</button></div>
      </form>
    </Dialog>
  );
}
