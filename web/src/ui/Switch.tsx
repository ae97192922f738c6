import type { ReactElement } from "react";

interface SwitchProps {
  on: boolean;
  label: string;
  busy?: boolean;
  onChange: (on: boolean) => void;
}

/** On or off, in a word as well as by position. */
export function Switch({ on, label, busy, onChange }: SwitchProps): ReactElement {
  return (
    <button type="button" role="switch" aria-checked={on} aria-label={label} className="switch" disabled={busy} onClick={() => onChange(!on)}>
      <span className="track" aria-hidden="true" />
      <span aria-hidden="true">{on ? "On" : "Off"}</span>
    </button>
  );
}
