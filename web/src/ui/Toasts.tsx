import type { ReactElement } from "react";
import { Status } from "./basics";
import { dismiss, useToasts } from "./toast";

const WORD = { critical: "Not done", warning: "Note", ok: "Done", busy: "Running", unknown: "Note", quiet: "Note" } as const;

export function Toasts(): ReactElement {
  const toasts = useToasts();
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <div key={toast.id} className="toast">
          <Status look={toast.look}>{WORD[toast.look]}</Status>
          <span className="grow">
            {toast.text} {toast.advice && <span className="muted">{toast.advice}</span>}
          </span>
          <button type="button" className="button small" onClick={() => dismiss(toast.id)}>Close</button>
        </div>
      ))}
    </div>
  );
}
