import type { ReactElement } from "react";
import { incidents } from "../api/endpoints";
import type { Incident } from "../api/types";
import { useAction } from "../lib/useAction";
import { Link } from "../router/Link";
import { ActionButton } from "../ui/Action";
import { Status, Time } from "../ui/basics";
import { lacks, useSession } from "./session";
import { useNowQuery } from "./useNowQuery";

const OVER = ["acknowledged", "superseded"];

/** The newest page to this person that waits for an answer. */
export function pageFor(login: string, open: Incident[]): { incident: Incident; at: string } | null {
  for (const incident of open) {
    if (incident.state !== "open") continue;
    const page = incident.pages.findLast(({ person, state }) => person === login && !OVER.includes(state));
    if (page) return { incident, at: page.delivered_at ?? page.due_at };
  }
  return null;
}

/** This page is a channel too: whoever is paged sees it here, on every page, until somebody acknowledges. */
export function PagedBanner(): ReactElement | null {
  const { person } = useSession();
  const { data: now } = useNowQuery();
  const { busy, run } = useAction("incident.", "page.");
  const paged = now ? pageFor(person.login, now.incidents) : null;
  if (!paged) return null;
  const { incident, at } = paged;
  return (
    <div className="paged" role="alert">
      <Status look="critical">You are paged</Status>
      <Link className="strong" to={`/incidents/${incident.number}`}>Incident {incident.number}: {incident.title}</Link>
      {/* An age would be read out anew each time that it grows. */}
      <span className="muted">at <Time at={at} show="stamp" /></span>
      <ActionButton small look="primary" busy={busy} why={lacks(person, "responder")} label={`Acknowledge incident ${incident.number}`} onClick={() => void run(() => incidents.acknowledge(incident.number), "You have it. The paging stops.")}>
        Acknowledge
      </ActionButton>
    </div>
  );
}
