import type { ReactElement } from "react";
import { oncall, people } from "../../api/endpoints";
import type { ReadinessPerson } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { channelOf } from "../settings/reach";
import { OnCallTabs } from "./OnCallTabs";
import { readinessLook } from "./ways";

function Row({ of }: { of: ReadinessPerson }): ReactElement {
  const { person: me } = useSession();
  const { busy, run } = useAction("page.");
  const [look, word] = readinessLook(of);
  return (
    <tr>
      <td className="fit"><Status look={look}>{word}</Status></td>
      <td className="fit strong">{of.name}</td>
      <td>{[...of.schedules, ...of.policies].join(", ")}</td>
      <td>{of.ways.map((way) => channelOf(way).text).join(", ") || "—"}</td>
      <td className="fit">{of.tested_at ? <Time at={of.tested_at} /> : "—"}</td>
      <td>
        {of.troubles.length === 0 ? "—" : <ul className="stack">{of.troubles.map((trouble) => <li key={trouble.text}>{trouble.text}</li>)}</ul>}
      </td>
      <td className="fit">
        <ActionButton small busy={busy} label={`Page ${of.name} as a test`} onClick={() => void run(() => people.testPage(of.login), of.login === me.login ? "A test page is on its way to you." : `A test page is on its way to ${of.name}.`)}>Test</ActionButton>
      </td>
    </tr>
  );
}

/** Who may be paged in the next two weeks, and what stands between them and a page. */
export default function ReadinessPage(): ReactElement {
  const query = useQuery("readiness", oncall.readiness, { touches: ["page.", "person.", "schedule.", "override.", "policy.", "config."], everyMs: 60_000 });
  return (
    <PageFrame title="Readiness" sub={`Times are in ${zone}.`}>
      <OnCallTabs current="readiness" />
      <Loaded query={query}>
        {(found) => (found.people.length === 0 && found.steps.length === 0 && found.teams.length === 0 && found.ends.length === 0 && found.calendars.length === 0 && found.unreached.length === 0 ? (
          <Empty title="Nobody is on a schedule or a policy." command="tenfold oncall readiness">Whoever may be paged in the next two weeks is listed here, and what stands between them and a page.</Empty>
        ) : (
          <>
            {found.unreached.length > 0 && (
              <Section title="What pages nobody">
                <ul className="stack">
                  {found.unreached.map(({ kind, name, text }) => (
                    <li key={`${kind}-${name}`}><Status look="critical">The {kind} {name} {text}</Status></li>
                  ))}
                </ul>
              </Section>
            )}
            {found.steps.length > 0 && (
              <Section title="Steps with nobody">
                <ul className="stack">
                  {found.steps.map((step) => (
                    <li key={`${step.policy}-${step.step}`}><Status look="critical">Step {step.step} of {step.policy} has nobody from <Time at={step.from} show="both" /> on</Status></li>
                  ))}
                </ul>
              </Section>
            )}
            {found.teams.length > 0 && (
              <Section title="Teams that cannot be paged as a whole">
                <ul className="stack">
                  {found.teams.map(({ team, policies, text }) => (
                    <li key={team}><Status look="critical">{team}, which {policies.join(" and ")} pages, {text}</Status> <span className="muted">Teams stand in people&apos;s profiles.</span></li>
                  ))}
                </ul>
              </Section>
            )}
            {found.ends.length > 0 && (
              <Section title="Schedules that end">
                <ul className="stack">
                  {found.ends.map(({ schedule, at }) => (
                    <li key={schedule}><Status look="critical">{schedule} has nobody any more from <Time at={at} show="both" /> on</Status> <span className="muted">Import its calendar again, or give it a layer or a fallback.</span></li>
                  ))}
                </ul>
              </Section>
            )}
            {found.calendars.length > 0 && (
              <Section title="Calendars that are followed">
                <ul className="stack">
                  {found.calendars.map(({ schedule, text }) => (
                    <li key={`${schedule}-${text}`}><Status look="critical">The calendar of {schedule} {text}</Status></li>
                  ))}
                </ul>
              </Section>
            )}
            <Section title="People">
              <TableWrap>
                <table className="stacks">
                  <thead><tr><th scope="col">State</th><th scope="col">Who</th><th scope="col">Paged by</th><th scope="col">Ways</th><th scope="col">Last test</th><th scope="col">To mend</th><th scope="col"><span className="sr-only">Test</span></th></tr></thead>
                  <tbody>{found.people.map((person) => <Row key={person.login} of={person} />)}</tbody>
                </table>
              </TableWrap>
              <p className="muted">
                Looked at for the time until <Time at={found.until} show="both" />, and told in the room on Mondays.
                {found.test_days > 0 && ` A test page is old after ${found.test_days} days.`}
              </p>
            </Section>
          </>
        ))}
      </Loaded>
    </PageFrame>
  );
}
