import { useState, type ReactElement } from "react";
import { incidents } from "../../api/endpoints";
import type { Incident, Page } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { pageLook } from "../../lib/status";
import { clockWithSeconds } from "../../lib/time";
import { Status, Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";

/** What people are told after their page. */
const NEWS: Record<string, string> = { grown: "that there is more", acknowledged: "who has it", over: "that it is over" };

function Attempts({ page }: { page: Page }): ReactElement {
  return (
    <ul>
      {page.attempts.map((attempt, index) => {
        const [look, word] = pageLook(attempt.state);
        return (
          <li key={`${index}-${attempt.channel}`} className="small">
            <Status look={look}>{attempt.channel} {word.toLowerCase()}</Status> <span className="muted">{clockWithSeconds(attempt.at)}</span>
            {attempt.error && <span className="form-error"> {attempt.error}</span>}
          </li>
        );
      })}
      {page.news?.map(({ channel, kind, at }) => <li key={`news-${channel}`} className="small muted">{channel}: told {NEWS[kind] ?? kind} {clockWithSeconds(at)}</li>)}
      {page.planned?.map(({ channel, at }) => <li key={`planned-${channel}`} className="small muted">{channel} at {clockWithSeconds(at)}, unless somebody acknowledges</li>)}
    </ul>
  );
}

/** Why this person, by these ways, then: as it was decided when the page was queued. */
function Why({ page }: { page: Page }): ReactElement {
  const [open, setOpen] = useState(false);
  const query = useQuery(open ? `page-why:${page.id}` : null, () => incidents.pageWhy(page.id));
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="small muted">Why</summary>
      {open && (
        <Loaded query={query}>
          {({ reasons }) => reasons.length === 0 ? <p className="small muted">No reason was kept.</p> : (
            <dl className="facts small">
              {reasons.map(({ stage, because }) => [<dt key={`${stage}-${because}`}>{stage}</dt>, <dd key={because}>{because}</dd>])}
            </dl>
          )}
        </Loaded>
      )}
    </details>
  );
}

/** Who was asked, through which channels, and who is asked next. */
export function IncidentPages({ incident }: { incident: Incident }): ReactElement {
  const escalation = incident.escalation;
  const paused = incident.state === "open" ? escalation?.paused : undefined;
  return (
    <Section title="Pages" end={incident.state === "open" && escalation?.next_at ? <span className="muted">next step <Time at={escalation.next_at} /></span> : null}>
      {incident.state === "open" && escalation?.state === "exhausted" ? (
        <p><Status look="critical">Nobody acknowledged, and no step is left</Status></p>
      ) : paused ? (
        <p><Status look="quiet">Nobody more is asked since <Time at={paused.since} />: {paused.because}. It goes on when one of its alerts is not muted</Status></p>
      ) : incident.state === "open" && escalation?.waiting_for?.length ? <p><Status look="busy">Waiting for {escalation.waiting_for.join(", ")}</Status></p> : null}
      {incident.pages.length === 0 ? (
        <p className="muted">Nobody was paged.</p>
      ) : (
        <ol className="ladder">
          {incident.pages.map((page) => {
            const [look, word] = pageLook(page.state);
            return (
              <li key={page.id} className={page.state === "delivered" || page.state === "due" || page.state === "sending" ? "current" : ""}>
                <span>
                  <span className="strong">{page.person_name || page.person}</span>
                  <br />
                  <span className="small muted">{page.handed ? "handed over" : `step ${page.step}`}{page.round > 1 ? `, round ${page.round}` : ""}</span>
                </span>
                <span>
                  <Status look={look}>{word}</Status> <span className="muted small"><Time at={page.delivered_at ?? page.due_at} show="stamp" seconds /></span>
                  <Attempts page={page} />
                  <Why page={page} />
                </span>
              </li>
            );
          })}
        </ol>
      )}
    </Section>
  );
}
