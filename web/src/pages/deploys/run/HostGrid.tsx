import type { ReactElement } from "react";
import type { DeployHost } from "../../../api/types";
import { SHAPE } from "../../../lib/status";
import { plural } from "../../../lib/units";
import { HostTiles } from "../../../parts/DeployBits";
import { useParams } from "../../../router/router";
import { Status } from "../../../ui/basics";
import { filterHosts, hostLook, summary, TILES_MAX, troubles } from "../../../parts/deployHosts";

const TROUBLES_SHOWN = 5;
const NAMED_MAX = 4;

/** A host as a shape and its name; a press shows it alone, with all that it says. */
function Cell({ host, onOpen }: { host: DeployHost; onOpen: () => void }): ReactElement {
  const [look, word] = hostLook(host);
  return (
    <li>
      <button type="button" className="host-cell" title={`${host.host}: ${word}${host.canary ? ", canary" : ""}${host.message ? `: ${host.message}` : ""}`} onClick={onOpen}>
        <span className={`shape look-${look}`} aria-hidden="true">{SHAPE[look]}</span>
        <span className="name">{host.host}</span>
        <span className="sr-only">, {word}{host.canary && ", canary"}</span>
      </button>
    </li>
  );
}

function Troubles({ hosts }: { hosts: DeployHost[] }): ReactElement | null {
  const said = troubles(hosts);
  if (said.length === 0) return null;
  return (
    <ul className="stack tight" aria-label="What hosts say">
      {said.slice(0, TROUBLES_SHOWN).map(({ message, look, hosts: names }) => (
        <li key={message}>
          <Status look={look}>{names.length <= NAMED_MAX ? names.join(", ") : plural(names.length, "host")}</Status> <span className="wrap-any">{message}</span>
        </li>
      ))}
      {said.length > TROUBLES_SHOWN && <li className="muted">and {said.length - TROUBLES_SHOWN} more that say something else</li>}
    </ul>
  );
}

/** The hosts of a deploy, six or hundreds: how many are in which state, filters in the address, tiles or cells. */
export function HostGrid({ hosts }: { hosts: DeployHost[] }): ReactElement {
  const params = useParams();
  const [state, text] = [params.get("host_state"), params.get("host")];
  const shown = filterHosts(hosts, state, text);
  const filtered = state !== "" || text !== "";
  const canaries = hosts.filter(({ canary }) => canary).length;
  const chip = (name: string, content: ReactElement | string, label?: string): ReactElement => (
    <button key={name} type="button" className="chip" aria-pressed={state === name} aria-label={label} onClick={() => params.set({ host_state: state === name ? null : name })}>{content}</button>
  );
  return (
    <div className="stack tight">
      {hosts.length > 1 && (
        <div className="filters" role="group" aria-label="Filter the hosts">
          <div className="chips">
            {summary(hosts).map(({ state: name, look, word, count }) => chip(name, <><Status look={look}>{word}</Status> {count}</>, `${word}: ${plural(count, "host")}`))}
            {canaries > 0 && canaries < hosts.length && chip("canary", `canary ${canaries}`, `Canary: ${plural(canaries, "host")}`)}
          </div>
          <input type="search" className="short" aria-label="Name of a host" placeholder="find a host" value={text} onChange={(event) => params.set({ host: event.target.value })} />
          {filtered && <span className="muted">{shown.length} of {plural(hosts.length, "host")} <button type="button" className="button plain small" onClick={() => params.set({ host: null, host_state: null })}>Show all</button></span>}
        </div>
      )}
      {shown.length > TILES_MAX && <Troubles hosts={shown} />}
      {shown.length === 0 && <p className="muted">No host matches.</p>}
      {shown.length > 0 && shown.length <= TILES_MAX && <HostTiles hosts={shown} />}
      {shown.length > TILES_MAX && (
        <ul className="host-cells" aria-label="Hosts of this deploy">
          {shown.map((host) => <Cell key={host.host} host={host} onOpen={() => params.set({ host: host.host }, false)} />)}
        </ul>
      )}
    </div>
  );
}
