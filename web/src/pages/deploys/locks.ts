import type { Lock } from "../../api/types";

export function lockWord({ kind, sha }: Pick<Lock, "kind" | "sha">): string {
  if (kind === "freeze") return "Frozen";
  return kind === "pin" ? `Pinned to ${sha?.slice(0, 7) ?? "nothing"}` : "Locked";
}
