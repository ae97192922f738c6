import type { Lock } from "../../api/types";

export function lockWord({ kind, sha }: Pick<Lock, "kind" | "sha">): string {
  if (kind === "freeze") return "Frozen";
  return kind === "pin" ? `Pinned to ${sha?.slice(0, 7) ?? "nothing"}` : "Locked";
}

export const isFor = (lock: Pick<Lock, "service" | "environment">, service: string, environment: string): boolean =>
  (lock.service === service || lock.service === "*") && lock.environment === environment;
