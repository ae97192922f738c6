/** The hosts of a deploy by their state: the summary and what of them is shown. */
import type { DeployHost } from "../api/types";
import { hostDeployLook, worst, type Look } from "../lib/status";

/** More hosts than this are cells without words. */
export const TILES_MAX = 24;

export interface HostCount {
  state: string;
  look: Look;
  word: string;
  count: number;
}

const URGENCY: Look[] = ["critical", "unknown", "warning", "busy", "quiet", "ok"];

/** What needs a look stands first; among alike, the larger number. */
export function summary(hosts: DeployHost[]): HostCount[] {
  const counts = new Map<string, number>();
  for (const { state } of hosts) counts.set(state, (counts.get(state) ?? 0) + 1);
  const rows = [...counts].map(([state, count]): HostCount => {
    const [look, word] = hostDeployLook(state);
    return { state, look, word, count };
  });
  return rows.sort((a, b) => URGENCY.indexOf(a.look) - URGENCY.indexOf(b.look) || b.count - a.count || a.word.localeCompare(b.word));
}

/** `text` is looked for in names and messages, without regard to case; `canary` wants canaries only. */
export function filterHosts(hosts: DeployHost[], state: string, text: string): DeployHost[] {
  const wanted = text.trim().toLowerCase();
  return hosts.filter((host) => {
    if (state === "canary" ? !host.canary : state !== "" && host.state !== state) return false;
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
