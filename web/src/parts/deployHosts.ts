/** The hosts of a deploy by their state: the summary and what of them is shown. */
import type { Deploy, DeployHost } from "../api/types";
import { hostDeployLook, worst, type Look } from "../lib/status";
import { clockWithSeconds, duration } from "../lib/time";

/** More hosts than this are cells without words. */
export const TILES_MAX = 24;

export interface HostCount {
  /** What `filterHosts` finds them by. */
  state: string;
  look: Look;
  word: string;
  count: number;
}

const URGENCY: Look[] = ["critical", "unknown", "warning", "busy", "quiet", "ok"];

const AWAY = "away";
const AWAY_LOOK: [Look, string] = ["unknown", "Does not answer"];

/** How a host looks; one that does not answer is not what it was last seen at. */
export function hostLook(host: Pick<DeployHost, "state" | "away_since">): [Look, string] {
  return host.away_since ? AWAY_LOOK : hostDeployLook(host.state);
}

/** Hosts that do not answer are a kind of their own beside the states. */
const stateOf = ({ state, away_since }: Pick<DeployHost, "state" | "away_since">): string => (away_since ? AWAY : state);

/** Since when it does not answer, and how long that is waited for. */
export function awayWords({ away_since, unreachable_at }: Pick<DeployHost, "away_since" | "unreachable_at">, now: number): string | null {
  if (!away_since) return null;
  const left = unreachable_at ? Date.parse(unreachable_at) - now : 0;
  return `since ${clockWithSeconds(away_since)}${left > 0 ? `, unreachable in ${duration(Math.ceil(left / 1000) * 1000)}` : ""}`;
}

/** What may still run at a server that had the deploy before, and how long nothing is run again for it; null once it has ended. */
export function leftWords({ left }: Pick<Deploy, "left">, now: number): [what: string, wait: string] | null {
  const wait = left ? Date.parse(left.until) - now : 0;
  if (!left || wait <= 0) return null;
  return [
    `Interrupted: its ${left.what} may still run at another server until ${clockWithSeconds(left.until)}`,
    `That server is gone or stands still. Nothing of it is run again for ${duration(Math.ceil(wait / 1000) * 1000)}.`,
  ];
}

/** What needs a look stands first; among alike, the larger number. */
export function summary(hosts: DeployHost[]): HostCount[] {
  const counts = new Map<string, number>();
  for (const host of hosts) counts.set(stateOf(host), (counts.get(stateOf(host)) ?? 0) + 1);
  const rows = [...counts].map(([state, count]): HostCount => {
    const [look, word] = state === AWAY ? AWAY_LOOK : hostDeployLook(state);
    return { state, look, word, count };
  });
  return rows.sort((a, b) => URGENCY.indexOf(a.look) - URGENCY.indexOf(b.look) || b.count - a.count || a.word.localeCompare(b.word));
}

/** `text` is looked for in names and messages, without regard to case; `canary` wants canaries only, `away` those that do not answer. */
export function filterHosts(hosts: DeployHost[], state: string, text: string): DeployHost[] {
  const wanted = text.trim().toLowerCase();
  return hosts.filter((host) => {
    if (state === "canary" ? !host.canary : state !== "" && stateOf(host) !== state) return false;
    return wanted === "" || host.host.toLowerCase().includes(wanted) || (host.message ?? "").toLowerCase().includes(wanted);
  });
}

/** What hosts of one batch say alike is said once: messages of hosts in trouble, with how many say each. */
export function troubles(hosts: DeployHost[]): { message: string; look: Look; hosts: string[] }[] {
  const by = new Map<string, { look: Look; hosts: string[] }>();
  for (const { host, state, message } of hosts) {
    const [look] = hostDeployLook(state);
    if (!message || !["critical", "unknown", "warning"].includes(look)) continue;
    const said = by.get(message) ?? { look, hosts: [] };
    by.set(message, { look: worst([said.look, look]), hosts: [...said.hosts, host] });
  }
  return [...by].map(([message, said]) => ({ message, ...said })).sort((a, b) => b.hosts.length - a.hosts.length);
}
