import type { components } from "../../api/schema";
import { duration } from "../../lib/time";

type Rest = components["schemas"]["RestView"];

/** What was done, and whose rest it makes too short. */
export function withRests(done: string, changed: { short_rests?: Rest[] }): string {
  const rests = (changed.short_rests ?? []).map(({ person, from, to, min_rest_hours }) => `${person} rests ${duration(Date.parse(to) - Date.parse(from))} only, less than ${min_rest_hours} h.`);
  return [done, ...rests].join(" ");
}
