import { Dialog as Base } from "@base-ui/react/dialog";
import type { ReactElement, ReactNode } from "react";

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  wide?: boolean;
  children: ReactNode;
}

/** A modal: focus stays in it, Escape closes it, focus goes back to where it was. */
export function Dialog({ open, onClose, title, wide, children }: DialogProps): ReactElement {
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Base.Portal>
        <Base.Backdrop className="dialog-backdrop" />
        <Base.Popup className={wide ? "dialog wide" : "dialog"}>
          <div className="section-head">
            <Base.Title render={<h2 />}>{title}</Base.Title>
            <Base.Close className="button small end" aria-label="Close">Close</Base.Close>
          </div>
          {children}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}
