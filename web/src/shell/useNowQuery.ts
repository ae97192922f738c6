import { record } from "../api/endpoints";
import type { Now } from "../api/types";
import { useQuery, type QueryState } from "../api/useQuery";

const EVERY_MS = 30_000;
const TOUCHES = ["deploy.", "alert.", "incident.", "override.", "schedule.", "host.", "mute.", "service."];

/** The first page's answer, shared by the header strip of every page. */
export const useNowQuery = (): QueryState<Now> & { reload: () => void } => useQuery("now", record.now, { touches: TOUCHES, everyMs: EVERY_MS });
