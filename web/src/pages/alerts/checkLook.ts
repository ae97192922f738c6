import type { Check } from "../../api/types";
import type { Look } from "../../lib/status";

const STATUS: Record<string, [Look, string]> = {
  ok: ["ok", "OK"], warning: ["warning", "Warning"], critical: ["critical", "Critical"], unknown: ["unknown", "Unknown"],
};

/** A problem that is not yet sure is said to be so; one behind a problem, or silent, is not known to be anything. */
export function checkLook(check: Check): [Look, string] {
  if (!check.last_at) return ["quiet", "Not looked at yet"];
  if (check.stale) return ["unknown", "Silent"];
  if (check.unreachable) return ["unknown", "Unreachable"];
  const [look, word] = STATUS[check.status] ?? ["unknown", check.status];
  return check.hard ? [look, word] : ["busy", `${word}, ${check.attempt} of ${check.spec.attempts ?? 3}`];
}
