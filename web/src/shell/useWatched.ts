import { alerts } from "../api/endpoints";
import { useQuery } from "../api/useQuery";

/** Whether any rule watches anything: without one, silence is no good news and must not be shown as such. */
export function useWatched(): boolean | undefined {
  const rules = useQuery("rules", alerts.rules, { touches: ["rule.", "alert.", "config."], everyMs: 30_000 });
  return rules.data?.items.some((group) => group.rules.length > 0);
}
