import { useState, type FormEvent, type ReactElement } from "react";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";

interface OverrideDialogProps {
  open: boolean;
  onClose: () => void;
  /** What is passed over, in words. */
  why: string;
  /** Whether it began. */
  start: (reason: string) => Promise<boolean>;
}

/** An admin passes over windows, freezes, locks, stages and trains; the reason stands in the record. */
export function OverrideDialog({ open, onClose, why, start }: OverrideDialogProps): ReactElement {
  const [reason, setReason] = useState("");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!(await start(reason.trim()))) return;
    setReason("");
    onClose();
  };
  return (
    <Dialog open={open} onClose={onClose} title="Deploy all the same">
      <form className="form" onSubmit={(event) => void submit(event)}>
        <p>{why}</p>
        <Field label="Why" hint="It stands in the record, and the rooms are told.">
          <input required maxLength={200} value={reason} onChange={(event) => setReason(event.target.value)} />
        </Field>
        <div><button type="submit" className="button danger">Deploy</button></div>
      </form>
    </Dialog>
  );
}
