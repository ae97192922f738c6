/** What a flag is for; it says how long it should live. */
import type { FlagKind } from "../../api/types";
import { DAY_MS } from "../../lib/time";

export const KINDS: { name: FlagKind; text: string; does: string; days: number | null }[] = [
  { name: "release", text: "release", does: "Hides work until it is ready. Lives weeks; then it is always on, and its code goes.", days: 40 },
  { name: "experiment", text: "experiment", does: "Compares variants on real people. Lives until there is an answer.", days: 40 },
  { name: "operational", text: "operational", does: "Steers how the system runs: a limit, a slower path, another backend.", days: null },
  { name: "kill_switch", text: "kill switch", does: "Turns a part off at once when it hurts. On while all is well; stays for good.", days: null },
  { name: "shadow", text: "shadow", does: "Runs the new path beside the old one and drops its result. Lives weeks.", days: 40 },
  { name: "permission", text: "permission", does: "Opens a feature for some people only. Stays as long as the feature.", days: null },
];

export const kindText = (name: string): string => KINDS.find((kind) => kind.name === name)?.text ?? name;

/** The day a new flag of this kind should be gone, as a date input has it; empty when it stays. */
export function expiryOf(kind: FlagKind, now: number): string {
  const days = KINDS.find(({ name }) => name === kind)?.days;
  return days ? new Date(now + days * DAY_MS).toISOString().slice(0, 10) : "";
}

/** What is wrong with a key, in a sentence; null when nothing is. */
export function keyProblem(key: string, taken: readonly string[]): string | null {
  if (key === "") return null;
  const odd = /[^A-Za-z0-9._~-]/.exec(key);
  if (odd) return `“${odd[0]}” cannot stand in a key: letters, digits and - _ . ~ can.`;
  if (key === "." || key === "..") return "A key of dots would be another place in an address.";
  if (key.endsWith("~share")) return "Keys that end in ~share are the server's own.";
  if (key.length > 100) return `It has ${key.length} characters; 100 is the most.`;
  if (taken.includes(key)) return "There is a flag of this key already.";
  const near = taken.find((other) => other.toLowerCase().replace(/[-_.~]/g, "") === key.toLowerCase().replace(/[-_.~]/g, ""));
  return near ? `It would be mistaken for ${near}, which is there already.` : null;
}
