import type { ReactElement } from "react";
import type { Host, HostRelease } from "../../api/types";
import { worst, type Look } from "../../lib/status";
import { shortSha } from "../../lib/units";
import { Link } from "../../router/Link";
import { Status, Time } from "../../ui/basics";

const RELEASE: Record<HostRelease["state"], Look> = { running: "ok", stopped: "quiet", unhealthy: "critical", unknown: "unknown" };

function hostStatus(host: Host): [Look, string] {
  if (host.state !== "connected") return ["unknown", "Not connected"];
  if (host.releases.length === 0) return ["quiet", "Empty"];
  const look = worst(host.releases.map(({ state }) => RELEASE[state] ?? "unknown"));
  const word: Record<Look, string> = { ok: "Running", critical: "Unhealthy", unknown: "Unknown", quiet: "Stopped", warning: "Warning", busy: "Busy" };
  return [look, word[look]];
}

/** Every host with what runs on it. */
export function Fleet({ hosts }: { hosts: Host[] }): ReactElement {
  return (
    <ul className="hosts">
      {hosts.map((host) => {
        const [look, word] = hostStatus(host);
        return (
          <li key={`${host.environment}/${host.name}`} className="host">
            <span className="head">
              <span className="strong">{host.name}</span>
              {Object.keys(host.labels).includes("canary") && <span className="tag">canary</span>}
            </span>
            <Status look={look}>{word}</Status>
            {host.releases.map((release) => (
              <span key={release.service} className="line">
                {release.deploy ? <Link to={`/deploys/${release.deploy}`}>{release.service} {shortSha(release.sha)}</Link> : `${release.service} ${shortSha(release.sha)}`}
              </span>
            ))}
            {host.state !== "connected" && <span className="line">seen <Time at={host.last_seen} /></span>}
          </li>
        );
      })}
    </ul>
  );
}
