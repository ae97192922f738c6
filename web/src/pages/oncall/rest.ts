import type { Rest } from "../../api/types";
import { duration } from "../../lib/time";

/** What a rest lies between, where that is not two shifts of one schedule. */
export function between({ after, after_page, before }: Rest): string {
  if (after_page) return " (after a page in the night)";
  if (after) return ` (after ${after})`;
  return before ? ` (before ${before})` : "";
}

/** What was done, and whose rest it makes too short. */
export function withRests(done: string, changed: { short_rests?: Rest[] }): string {
  const rests = (changed.short_rests ?? []).map((rest) => `${rest.person} rests ${duration(Date.parse(rest.to) - Date.parse(rest.from))} only, less than ${rest.min_rest_hours} h${between(rest)}.`);
  return [done, ...rests].join(" ");
}
