import type { ReactElement } from "react";
import type { DashboardLink, Panel } from "../api/types";
import { UNITS } from "../lib/units";
import { Link } from "../router/Link";
import type { Range } from "./range";

const EXPLORE = "/graphs/explore";
/** What Explore asks at once. */
export const EXPLORED_MAX = 10;

/** Where a panel's queries can be looked into and changed, over the same range. */
export function exploreOf({ queries, unit, kind, stacked, log, exemplars }: Panel, { name, fromMs, toMs, step }: Range): string {
  const params = new URLSearchParams(queries.slice(0, EXPLORED_MAX).map(({ expr }) => ["expr", expr]));
  if (unit && unit !== "short" && UNITS.some((one) => one === unit)) params.set("unit", unit);
  const shown = kind === "heatmap" ? "heatmap" : stacked ? "stacked" : log ? "log" : null;
  if (shown) params.set("shown", shown);
  if (exemplars) params.set("exemplars", "1");
  if (step) params.set("step", String(step));
  if (name) params.set("range", name);
  else {
    params.set("from", String(Math.round(fromMs)));
    params.set("to", String(Math.round(toMs)));
  }
  return `${EXPLORE}?${params.toString()}`;
}

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
export function DashboardLinkView({ link, label }: { link: DashboardLink; label?: string | undefined }): ReactElement {
  if (!link.to.startsWith("/")) return <a className="inline-link" href={link.to} target="_blank" rel="noreferrer">{link.title}</a>;
  return <Link className="inline-link" aria-label={label} to={addressOf(link, location.search)}>{link.title}</Link>;
}

/** Where a panel leads. */
export function PanelLinks({ panel }: { panel: Panel }): ReactElement | null {
  if (!panel.links?.length) return null;
  // Each panel has such links: by their words alone nobody could tell them apart.
  const isOfEach = (to: string): boolean => [EXPLORE, location.pathname].some((path) => to.startsWith(`${path}?`));
  const label = ({ title, to }: DashboardLink): string | undefined => (isOfEach(to) ? `${title} ${panel.title}` : undefined);
  return <>{panel.links.map((link, at) => <DashboardLinkView key={at} link={link} label={label(link)} />)}</>;
}
