/** A list whose question changes: what was told last stands there until the next answer comes. */
import { useRef } from "react";
import type { QueryState } from "./useQuery";

/** `waits` while the answer is of the question before, which has to be said beside it. After a refusal nothing old is shown. */
export function useHeld<Q extends QueryState<unknown>>(query: Q): Q & { waits: boolean } {
  const last = useRef<Q["data"]>(undefined);
  if (query.data !== undefined || query.error) last.current = query.data;
  const data = query.data ?? last.current;
  return { ...query, data, waits: data !== undefined && query.data === undefined };
}
