import type { components } from "../../api/schema";
import { absolute } from "../../lib/time";

type Reason = components["schemas"]["FlagStaleReason"];

/** Why a flag looks finished, as one clause. */
export function staleSentence(reason: Reason): string {
  switch (reason.why) {
    case "marked": return "Marked as stale.";
    case "past_lifetime": return `${reason.age_days} days old, expected to live ${reason.lifetime_days}.`;
    case "expired": return `Its date was ${absolute(reason.expired_at)}.`;
    case "on_for_everybody": return `Everybody has had it for ${reason.days} days.`;
    case "not_asked": return typeof reason.days === "number" ? `No client has asked for it for ${reason.days} days.` : "No client has ever asked for it.";
  }
}
