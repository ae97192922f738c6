import type { ReactElement } from "react";
import type { DashboardLink, Panel } from "../api/types";
import { Link } from "../router/Link";

/** An address of this server takes the range and what is chosen along, where it says so and does not say something else itself. */
export function addressOf({ to, keeps_range }: DashboardLink, search: string): string {
  if (!keeps_range || !to.startsWith("/")) return to;
  const [path = "", query = ""] = to.split("?");
  const params = new URLSearchParams(query);
  const said = new Set(params.keys());
  for (const [name, value] of new URLSearchParams(search)) {
    const goes = ["from", "to", "range"].includes(name) || name.startsWith("var-");
    if (goes && !said.has(name)) params.append(name, value);
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

/** A path stays within the page; what leads elsewhere opens beside it. */
export function DashboardLinkView({ link }: { link: DashboardLink }): ReactElement {
  if (!link.to.startsWith("/")) return <a className="inline-link" href={link.to} target="_blank" rel="noreferrer">{link.title}</a>;
  return <Link className="inline-link" to={addressOf(link, location.search)}>{link.title}</Link>;
}

/** Where a panel leads. */
export function PanelLinks({ panel }: { panel: Panel }): ReactElement | null {
  if (!panel.links?.length) return null;
  return <>{panel.links.map((link, at) => <DashboardLinkView key={at} link={link} />)}</>;
}
