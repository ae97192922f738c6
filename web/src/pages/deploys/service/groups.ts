/** What the hosts say they run of a service in an environment, by commit and state. */
import type { Host } from "../../../api/types";
import type { Look } from "../../../lib/status";

export interface Group {
  sha: string;
  deploy: number;
  look: Look;
  /** Between the hosts and the commit. */
  word: string;
  hosts: string[];
}

const WORDS: Record<string, [Look, string]> = { running: ["ok", "on"], stopped: ["quiet", "stopped with"], unhealthy: ["critical", "unhealthy on"], unknown: ["unknown", "away with"] };

/** The largest group first. */
export function groups(hosts: Host[], service: string, environment: string): Group[] {
  const found = new Map<string, Group>();
  for (const { name, releases } of hosts) {
    for (const release of releases) {
      if (release.service !== service || release.environment !== environment) continue;
      const key = `${release.sha} ${release.state}`;
      const [look, word] = WORDS[release.state] ?? ["unknown", release.state];
      const group = found.get(key) ?? { sha: release.sha, deploy: release.deploy, look, word, hosts: [] };
      group.hosts.push(name);
      found.set(key, group);
    }
  }
  return [...found.values()].sort((a, b) => b.hosts.length - a.hosts.length);
}
