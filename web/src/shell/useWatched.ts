import { alerts } from "../api/endpoints";
import { useQuery } from "../api/useQuery";

/** Whether any rule watches anything: without one, silence is no good news and must not be shown as such. */
export function useWatched(): boolean | undefined {
  // Every page asks: the numbers are enough.
  const rules = useQuery("rules:any", () => alerts.rules({ limit: 1 }), { touches: ["rule.", "config."], everyMs: 30_000 });
  return rules.data && rules.data.items.length > 0;
}
