import { useMemo } from "react";
import { graphs } from "../api/endpoints";
import type { Marker } from "../api/types";
import { useQuery } from "../api/useQuery";
import { LASTING } from "./markers";
import type { Range } from "./range";

const NONE: Marker[] = [];
const TOUCHES = ["deploy.", "flag.", "note.", "alert.", "incident."];

/** What the record says happened in this stretch of time; the same for every graph of a page. Nothing is asked unless `wanted`. */
export function useMarkers(range: Range, service?: string | null, wanted = true): Marker[] {
  const place = range.name ?? `${range.fromMs}-${range.toMs}`;
  const length = range.toMs - range.fromMs;
  const query = useQuery(
    wanted ? `markers:${place}:${service ?? ""}` : null,
    () => {
      const to = range.name ? Date.now() : range.toMs;
      return graphs.markers({ from: new Date(to - length).toISOString(), to: new Date(to).toISOString(), ...(service ? { service } : {}) });
    },
    { touches: TOUCHES },
  );
  // A moving range leaves marks behind.
  return useMemo(() => {
    const items = query.data?.items ?? NONE;
    return items.filter(({ kind, at, end_at }) => (LASTING.has(kind) && !end_at) || Date.parse(end_at ?? at) >= range.fromMs);
  }, [query.data, range.fromMs]);
}
