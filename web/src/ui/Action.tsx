import { useId, useState, type ReactElement, type ReactNode } from "react";

interface ActionButtonProps {
  children: ReactNode;
  onClick: () => void;
  look?: "primary" | "danger" | "plain" | undefined;
  small?: boolean;
  busy?: boolean;
  /** Why it cannot be done now: the button stays, does nothing, and says so beside itself. */
  why?: string | null | undefined;
  /** Says `why` to screen readers, on hover and when it is pressed only, where there is no room beside the button. */
  tight?: boolean;
  label?: string;
}

/** A button for something that changes the world. Disabled, it tells why. */
export function ActionButton({ children, onClick, look, small, busy, why, tight, label }: ActionButtonProps): ReactElement {
  const id = useId();
  // A finger does not hover.
  const [pressed, setPressed] = useState<string | null>(null);
  const off = Boolean(why) || busy;
  const classes = ["button", look ?? "", small ? "small" : ""].filter(Boolean).join(" ");
  return (
    <span className="action">
      <button
        type="button"
        className={classes}
        aria-disabled={off || undefined}
        aria-describedby={why ? id : undefined}
        aria-label={label}
        title={tight && why ? why : undefined}
        onClick={() => (off ? setPressed(why ?? null) : onClick())}
      >
        {children}
        {busy && "…"}
      </button>
      {why && <span id={id} className={tight && pressed !== why ? "sr-only" : "why"}>{why}</span>}
    </span>
  );
}
