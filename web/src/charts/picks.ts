/** Which of a graph's lines are drawn, as its legend is pressed. */
import type { Line } from "./summary";

/** Their names; null for all. */
export type Picks = ReadonlySet<string> | null;

/** Limits are no lines of the legend: they are always drawn. */
export const isDrawn = ({ label, limit }: Line, picks: Picks): boolean => picks === null || Boolean(limit) || picks.has(label);

const labelsOf = (lines: Line[]): string[] => lines.filter(({ limit }) => !limit).map(({ label }) => label);

/** All of them or none are all of them: a graph without a line tells nothing. */
function settled(labels: string[], drawn: string[]): Picks {
  return drawn.length === 0 || drawn.length === labels.length ? null : new Set(drawn);
}

/** A line that went takes its choice along. */
export function stillPicked(picks: Picks, lines: Line[]): Picks {
  if (picks === null) return null;
  const labels = labelsOf(lines);
  return settled(labels, labels.filter((label) => picks.has(label)));
}

/** The line alone; all of them where it is alone already. */
export const alone = (picks: Picks, label: string): Picks => (picks?.size === 1 && picks.has(label) ? null : new Set([label]));

/** The line hidden where it is drawn, drawn where it is hidden; the others as they are. */
export function toggled(picks: Picks, label: string, lines: Line[]): Picks {
  const labels = labelsOf(lines);
  return settled(labels, labels.filter((one) => (picks === null || picks.has(one)) !== (one === label)));
}
