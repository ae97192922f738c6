import { useState, type ReactElement } from "react";
import { ActionButton } from "./Action";

/** Deletes after it was asked for twice: the second button says what goes. */
export function DeleteButton({ what, busy, why, onDelete }: { what: string; busy?: boolean; why?: string | null; onDelete: () => void }): ReactElement {
  const [asked, setAsked] = useState<boolean | null>(null);
  // Each takes the place of the button that was pressed, and with it the keyboard: on the side that deletes nothing.
  if (!asked) return <button type="button" className="button" autoFocus={asked !== null} onClick={() => setAsked(true)}>Delete…</button>;
  return (
    <>
      <ActionButton look="danger" busy={busy ?? false} why={why} onClick={onDelete}>Delete {what}</ActionButton>
      <button type="button" className="button" autoFocus onClick={() => setAsked(false)}>Keep it</button>
    </>
  );
}
