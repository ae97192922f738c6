import { cloneElement, useId, type ReactElement } from "react";

interface FieldProps {
  label: string;
  hint?: string;
  /** One input, select or textarea. */
  children: ReactElement<{ id?: string; "aria-describedby"?: string | undefined }>;
}

/** A labelled control. */
export function Field({ label, hint, children }: FieldProps): ReactElement {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, { id, "aria-describedby": hint ? `${id}-hint` : undefined })}
      {hint && <span className="hint" id={`${id}-hint`}>{hint}</span>}
    </div>
  );
}
