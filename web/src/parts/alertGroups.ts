/** Alerts by service, and how many there are that are not listed. */
import type { Alert, AlertCounts } from "../api/types";

/** So many alerts of a service are listed in each state; the others are counted. */
export const LISTED = 20;
/** The name of the group of alerts that name no service. */
export const NO_SERVICE = "no service";

const ORDER = ["critical", "warning", "info"];

export const isLive = ({ state }: Pick<Alert, "state">): boolean => state === "firing" || state === "unknown";

export const liveCount = (counts: AlertCounts[]): number => counts.reduce((sum, { firing, unknown }) => sum + firing + unknown, 0);
export const pendingCount = (counts: AlertCounts[]): number => counts.reduce((sum, { pending }) => sum + pending, 0);

export interface AlertGroup {
  name: string;
  /** What the server is asked for: the empty text is "those without". */
  service: string;
  items: Alert[];
  /** All of them, listed or not. */
  total: number;
}

/** What fires, by service; a group is there though none of its alerts is listed. */
export function byService(items: Alert[], counts: AlertCounts[]): AlertGroup[] {
  const live = new Map<string, Alert[]>();
  for (const alert of items.filter(isLive)) {
    const service = alert.service ?? "";
    const others = live.get(service);
    if (others) others.push(alert);
    else live.set(service, [alert]);
  }
  const groups = counts.filter((one) => liveCount([one]) > 0).map((one): AlertGroup => ({
    name: one.service ?? NO_SERVICE,
    service: one.service ?? "",
    items: (live.get(one.service ?? "") ?? []).sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity)),
    total: liveCount([one]),
  }));
  return groups.sort((a, b) => a.name.localeCompare(b.name));
}
