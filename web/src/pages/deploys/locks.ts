import type { Lock } from "../../api/types";

export function lockWord({ kind, sha }: Pick<Lock, "kind" | "sha">): string {
  if (kind === "freeze") return "Frozen";
  return kind === "pin" ? `Pinned to ${sha?.slice(0, 7) ?? "nothing"}` : "Locked";
}

export const isFor = (lock: Pick<Lock, "service" | "environment">, service: string, environment: string): boolean =>
  (lock.service === service || lock.service === "*") && lock.environment === environment;

/** Whether it keeps this person from shipping this commit: an owner passes the own lock, a pinned commit its pin. */
export function keepsOut(lock: Pick<Lock, "kind" | "sha" | "owner">, login: string, sha: string | null | undefined): boolean {
  if (lock.kind === "lock") return lock.owner !== login;
  return lock.kind === "freeze" || lock.sha !== sha;
}
