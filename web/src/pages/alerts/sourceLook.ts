import type { AlertSource } from "../../api/types";

const BEATS = { late: ["critical", "Late"], beating: ["ok", "Beating"], waiting: ["quiet", "Waiting"] } as const;

/** How a source stands, as a look and a word. */
export function sourceLook(source: AlertSource): readonly ["critical" | "warning" | "ok" | "quiet", string] {
  if (source.heartbeat) {
    return BEATS[source.heartbeat.state];
  }
  if (source.refused > 0 && source.taken === 0) {
    return ["warning", "Refused"];
  }
  return source.taken > 0 ? ["ok", "Heard"] : ["quiet", "Silent"];
}
