import { useState, type FormEvent, type ReactElement } from "react";
import { deploys } from "../../api/endpoints";
import type { Lock, LockKind } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { lockWord } from "./locks";

/** A lock has an owner, a reason and an end. */
export function LockLine({ lock }: { lock: Lock }): ReactElement {
  const { busy, run } = useAction("lock.");
  return (
    <p className="buttons">
      <Status look="warning">{lockWord(lock)}</Status>
      <span>
        by {lock.owner_name} <Time at={lock.created_at} />: {lock.reason}
        {lock.expires_at && <span className="muted">, until <Time at={lock.expires_at} show="stamp" /></span>}
      </span>
      <ActionButton small busy={busy} onClick={() => void run(() => deploys.unlock(lock.id), `${lock.service} is open again.`)}>{lock.kind === "lock" ? "Unlock" : "End"}</ActionButton>
    </p>
  );
}

interface LockDialogProps {
  open: boolean;
  onClose: () => void;
  service: string;
  environment: string;
}

export function LockDialog({ open, onClose, service, environment }: LockDialogProps): ReactElement {
  const [reason, setReason] = useState("");
  const [minutes, setMinutes] = useState(60);
  const [kind, setKind] = useState<LockKind>("lock");
  const { busy, run } = useAction("lock.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const lock = await run(() => deploys.lock({ service, environment, reason, minutes, kind }), `${service} is ${lockWord({ kind, sha: null }).toLowerCase()}.`);
    if (lock) onClose();
  };
  return (
    <Dialog open={open} onClose={onClose} title={`Lock ${service} in ${environment}`}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Reason" hint="Everybody who wants to deploy reads it.">
          <input required maxLength={200} value={reason} onChange={(event) => setReason(event.target.value)} />
        </Field>
        <Field label="Whom it stops">
          <select value={kind} onChange={(event) => setKind(event.target.value as LockKind)}>
            <option value="lock">Everybody but you</option>
            <option value="freeze">Everybody (a freeze)</option>
          </select>
        </Field>
        <Field label="For">
          <select value={minutes} onChange={(event) => setMinutes(Number(event.target.value))}>
            <option value={30}>30 min</option>
            <option value={60}>1 h</option>
            <option value={240}>4 h</option>
            <option value={1440}>24 h</option>
            <option value={10080}>7 d</option>
          </select>
        </Field>
        <div><button type="submit" className="button primary" disabled={busy}>Lock deploys</button></div>
      </form>
    </Dialog>
  );
}
