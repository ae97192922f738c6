/** What whoever is woken by an alert wants to know first: who else was asked, and how it went before. */
import type { ReactElement } from "react";
import { incidents, record } from "../../api/endpoints";
import type { Alert } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { Link } from "../../router/Link";
import { Elapsed, Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";
import { kindOf } from "../incidents/Classify";
import { IncidentPages } from "../incidents/IncidentPages";

const TOUCHES = ["incident.", "page."];
/** Incidents of before that are shown. */
const BEFORE_MAX = 5;

/** Who was paged for its incident, and who is asked next. */
export function Paging({ number }: { number: number }): ReactElement {
  const query = useQuery(`incident:${number}`, () => incidents.get(number), { touches: TOUCHES, everyMs: 15_000 });
  return <Loaded query={query}>{(incident) => <IncidentPages incident={incident} />}</Loaded>;
}

function Past({ number }: { number: number }): ReactElement {
  const query = useQuery(`incident:${number}`, () => incidents.get(number), { touches: TOUCHES });
  return (
    <li>
      <Link className="inline-link" to={`/incidents/${number}`}>Incident {number}</Link>
      {query.data && (
        <span>
          {" "}<Time at={query.data.opened_at} />, {query.data.resolved_at ? <>over after <Elapsed from={query.data.opened_at} to={query.data.resolved_at} /></> : "not over yet"}
          {query.data.acknowledged_by_name && `, ${query.data.acknowledged_by_name} had it`}
          {query.data.classified && `: ${kindOf(query.data.classified)}`}
        </span>
      )}
    </li>
  );
}

/** The incidents that it opened before: what was done then stands in their notes. */
export function Before({ alert }: { alert: Alert }): ReactElement | null {
  const query = useQuery(`alert-before:${alert.fingerprint}`, () => record.list({ kind: "incident.opened", alert: alert.fingerprint, limit: BEFORE_MAX + 1 }), { touches: ["incident.opened"] });
  const numbers = (query.data?.items ?? []).map(({ subject }) => subject.incident).filter((number): number is number => number != null && number !== alert.incident);
  if (numbers.length === 0) return null;
  return (
    <Section title="Before">
      <ul>{numbers.slice(0, BEFORE_MAX).map((number) => <Past key={number} number={number} />)}</ul>
      <p className="small muted">What was done then stands in their notes.</p>
    </Section>
  );
}
