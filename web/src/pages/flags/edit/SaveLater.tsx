import { useState, type ReactElement } from "react";
import { flags } from "../../../api/endpoints";
import type { FlagUpdate } from "../../../api/types";
import { HOUR_MS, toLocalInput, zone } from "../../../lib/time";
import { useAction } from "../../../lib/useAction";
import { ActionButton } from "../../../ui/Action";
import { Field } from "../../../ui/Field";

/** The one environment whose state is all that an edit changes; such an edit may be planned for an instant. */
export function onlyPlace(update: FlagUpdate): string | null {
  const { environments, ...rest } = update;
  const places = Object.keys(environments ?? {});
  return Object.keys(rest).length === 0 && places.length === 1 ? (places[0] ?? null) : null;
}

/** Plans an edit for an instant in place of saving it now. */
export function SaveLater({ flag, version, update, why, onDone }: { flag: string; version: number; update: FlagUpdate; why: string | null; onDone: () => void }): ReactElement | null {
  const [at, setAt] = useState(() => toLocalInput(Date.now() + HOUR_MS));
  const { busy, run } = useAction("flag.");
  const environment = onlyPlace(update);
  if (!environment) return null;
  const instant = new Date(at);
  const wrong = Number.isNaN(instant.getTime()) ? "Say when." : instant.getTime() <= Date.now() ? "That is not in the future." : null;
  const plan = async (): Promise<void> => {
    const planned = await run(
      () => flags.schedule(flag, { environment, at: instant.toISOString(), action: { kind: "edit", update } }, version),
      ({ schedule, requested }) => (schedule ? `Scheduled: ${schedule.text}.` : `That waits for a second person, as change request ${requested ?? ""}.`),
    );
    if (planned) onDone();
  };
  return (
    <div className="form-row">
      <Field label={`At (${zone})`}><input type="datetime-local" value={at} onChange={(event) => setAt(event.target.value)} /></Field>
      <ActionButton busy={busy} why={why ?? wrong} tight onClick={() => void plan()}>Save at</ActionButton>
    </div>
  );
}
