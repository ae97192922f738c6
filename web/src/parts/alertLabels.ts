/** Which labels tell an alert from the others of its rule, where its own sentence does not. */
import type { Alert } from "../api/types";

/** Said beside it already, or the same for all of a rule. */
const ELSEWHERE = new Set(["alertname", "severity", "service", "environment"]);
/** Where it is comes before what it is of. */
const FIRST = ["instance", "host", "node", "pod", "container", "device", "mountpoint", "check", "job"];
const NAMED_MAX = 3;
const VALUE_MAX = 60;

const place = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
const cut = (value: string): string => (value.length > VALUE_MAX ? `${value.slice(0, VALUE_MAX)}…` : value);

/** Whether a value stands in a text by itself, and not within a longer word or number. */
function says(text: string, value: string): boolean {
  const ends = (at: number): boolean => !/[\p{L}\p{N}_]/u.test(text.charAt(at));
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) if (ends(at - 1) && ends(at + value.length)) return true;
  return false;
}

/** `instance=db1:9100, device=sda`: what the summary says itself is left out, and so is what would be too much. */
export function tellingLabels({ labels, summary }: Pick<Alert, "labels" | "summary">): string {
  const silent = Object.entries(labels).map(([name, value]) => [name, String(value)] as const).filter(([name, value]) => !ELSEWHERE.has(name) && value !== "" && !says(summary, value));
  const ordered = silent.sort(([one], [other]) => place(one) - place(other) || one.localeCompare(other));
  return ordered.slice(0, NAMED_MAX).map(([name, value]) => `${name}=${cut(value)}`).join(", ");
}
