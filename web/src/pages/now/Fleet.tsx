import { Fragment, type ReactElement } from "react";
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

/** How a host holds a service to its limits; what it cannot do stands first. */
function Limits({ release }: { release: HostRelease }): ReactElement | null {
  if (!release.limits) return null;
  const { in_force, missing } = release.limits;
  const said = [...missing.map((what) => `Not held to: ${what}`), ...in_force.map((what) => `Held to: ${what}`)].join("\n");
  return (
    <span className="line" title={said}>
      {missing.length > 0 ? <Status look="warning">Without all of its limits: {missing.join("; ")}</Status> : <span className="muted">limits: {in_force.join(", ")}</span>}
    </span>
  );
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
              <Fragment key={release.service}>
                <span className="line">
                  {release.deploy ? <Link to={`/deploys/${release.deploy}`}>{release.service} {shortSha(release.sha)}</Link> : `${release.service} ${shortSha(release.sha)}`}
                </span>
                <Limits release={release} />
              </Fragment>
            ))}
            {host.state !== "connected" && <span className="line">seen <Time at={host.last_seen} /></span>}
          </li>
        );
      })}
    </ul>
  );
}
