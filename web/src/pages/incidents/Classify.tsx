import { useEffect, type ReactElement } from "react";
import { incidents } from "../../api/endpoints";
import type { Incident } from "../../api/types";
import { useAction } from "../../lib/useAction";
import { Section } from "../../ui/Section";

/** In the order of their keys, from 1. */
const KINDS: [string, string][] = [
  ["action", "action taken"],
  ["action_could_wait", "action, could have waited"],
  ["action_elsewhere", "action elsewhere"],
  ["wrong_time", "no action: wrong time"],
  ["mute_expired", "no action: mute expired"],
  ["mute_missing", "no action: no mute"],
  ["threshold", "no action: threshold"],
  ["faulty", "no action: faulty rule"],
  ["other", "none of these"],
];

/** A kind in words. */
export const kindOf = (kind: string): string => KINDS.find(([name]) => name === kind)?.[1] ?? kind;

/** What the pages were for, with one key: while nothing is typed, 1 to 9 say it. */
export function Classify({ incident }: { incident: Incident }): ReactElement {
  const { busy, run } = useAction("incident.");
  const { number } = incident;
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement | null;
      const typing = target?.closest("input, textarea, select, [contenteditable], [role=dialog]");
      const kind = KINDS[Number(event.key) - 1];
      if (!kind || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      void run(() => incidents.classify(number, kind[0]), `Said: ${kind[1]}.`);
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [number, run]);
  return (
    <Section title="What were the pages for?">
      <div className="chips" role="group" aria-label="What the pages were for">
        {KINDS.map(([kind, text], index) => (
          <button key={kind} type="button" className="chip" disabled={busy} aria-pressed={incident.classified === kind} aria-keyshortcuts={String(index + 1)} onClick={() => void run(() => incidents.classify(number, kind), `Said: ${text}.`)}>
            <kbd>{index + 1}</kbd> {text}
          </button>
        ))}
      </div>
      <p className="muted">It counts for the rule, not for anybody: see Alerts, Noise.</p>
    </Section>
  );
}
