import { useState, type ReactElement } from "react";
import { incidents, oncall, people } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { pageLook } from "../../lib/status";
import { zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { lacks, useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { channelOf } from "../settings/reach";
import { ShiftTable, shiftsOf } from "./MyShifts";
import { OnCallTabs } from "./OnCallTabs";
import { Swaps } from "./SwapDialog";
import { lastTest, ringingWays, waitingFor } from "./ways";

/** The pages that wait for me, with the incident each is of. */
function MyPages(): ReactElement {
  const { person } = useSession();
  const query = useQuery("incidents-active", () => incidents.list("active"), { touches: ["incident.", "page."], everyMs: 15_000 });
  const { busy, run } = useAction("incident.", "page.");
  return (
    <Section title="Pages that wait for me">
      <Loaded query={query}>
        {({ items }) => {
          const open = items.filter((incident) => incident.state === "open").map((incident) => ({ incident, pages: waitingFor(incident.pages, person.login) })).filter(({ pages }) => pages.length > 0);
          if (open.length === 0) return <p className="muted">Nothing waits for you.</p>;
          return (
            <ul className="stack">
              {open.map(({ incident, pages }) => (
                <li key={incident.number} className="buttons">
                  <span><Link to={`/incidents/${incident.number}`}>Incident {incident.number}: {incident.title}</Link>, paged <Time at={pages.at(-1)?.due_at} show="both" /></span>
                  <span className="right"><ActionButton small busy={busy} why={lacks(person, "responder")} tight label={`Acknowledge incident ${incident.number}`} onClick={() => void run(() => incidents.acknowledge(incident.number), "You have it.")}>Acknowledge</ActionButton></span>
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
    </Section>
  );
}

const after = (seconds: number | null): string => (seconds === null ? "does not ring" : seconds === 0 ? "at once" : `after ${seconds} s`);

function MyWays(): ReactElement {
  const { person } = useSession();
  const ways = ringingWays(person);
  const quiet = person.contact?.quiet;
  return (
    <Section title="How pages reach me" end={<Link to="/settings/me">Change</Link>}>
      {ways.length === 0 ? (
        <p><Status look="critical">No way leads to you but this page.</Status> <Link className="inline-link" to="/settings/me">Add one</Link></p>
      ) : (
        <TableWrap>
          <table className="stacks">
            <thead><tr><th scope="col">Way</th><th scope="col">To</th><th scope="col">When critical</th><th scope="col">Otherwise</th></tr></thead>
            <tbody>
              {ways.map((way) => <tr key={way.channel}><td className="fit strong">{way.text}</td><td className="wrap-any">{way.to || "—"}</td><td className="fit">{after(way.critical)}</td><td className="fit">{after(way.other)}</td></tr>)}
            </tbody>
          </table>
        </TableWrap>
      )}
      {quiet && <p className="muted">Quiet from {quiet.from} to {quiet.to} in {person.timezone}: only critical pages ring then, the others go by {(quiet.channels?.length ? quiet.channels : ["mail"]).map((name) => channelOf(name).text).join(", ")}.</p>}
    </Section>
  );
}

function MyTest(): ReactElement {
  const { person } = useSession();
  const ready = useQuery("readiness", oncall.readiness, { touches: ["page.", "person.", "schedule.", "policy."] });
  const pages = useQuery("pages", incidents.pages, { touches: ["page."], everyMs: 15_000 });
  const { busy, run } = useAction("page.");
  const troubles = ready.data?.people.find(({ login }) => login === person.login)?.troubles ?? [];
  return (
    <Section title="Last test">
      {troubles.length > 0 && <ul className="stack">{troubles.map((trouble) => <li key={trouble.text}><Status look="warning">{person.name} {trouble.text}</Status></li>)}</ul>}
      <Loaded query={pages}>
        {({ items }) => {
          const test = lastTest(items, person.login);
          if (!test) return <p className="muted">No test page to you is among the newest pages.</p>;
          return (
            <>
              <p>Sent <Time at={test.due_at} show="both" />.</p>
              <ul className="stack">
                {test.attempts.map((attempt) => {
                  const [look, word] = pageLook(attempt.state);
                  return <li key={`${attempt.channel}-${attempt.at}`}><Status look={look}>{channelOf(attempt.channel).text}: {word}{attempt.error ? `, ${attempt.error}` : ""}</Status></li>;
                })}
              </ul>
            </>
          );
        }}
      </Loaded>
      <div className="buttons">
        <ActionButton busy={busy} onClick={() => void run(() => people.testPage(person.login), "A test page is on its way to you, by every way that is set up.")}>Page me as a test</ActionButton>
      </div>
    </Section>
  );
}

function MyCalendar(): ReactElement {
  const { person } = useSession();
  const { busy, run } = useAction("page.");
  const [address, setAddress] = useState<string | null>(null);
  const renew = async (): Promise<void> => {
    const made = await run(() => oncall.renewCalendar(person.login), "The address before ends.");
    if (made) setAddress(made.url);
  };
  return (
    <Section title="My calendar">
      <p className="muted">Your shifts as iCalendar, for the program that you keep appointments in.</p>
      {address && <p role="status">Shown this once: <code className="wrap">{address}</code></p>}
      <div className="buttons"><ActionButton busy={busy} onClick={() => void renew()}>New calendar address</ActionButton></div>
    </Section>
  );
}

/** What waits for me, when I am on, and whether a page would reach me. */
export default function MyOnCallPage(): ReactElement {
  const { person } = useSession();
  const schedules = useQuery("schedules", oncall.schedules, { touches: ["schedule.", "override.", "config."], everyMs: 60_000 });
  return (
    <PageFrame title="My on-call" sub={`Times are in ${zone}.`}>
      <OnCallTabs current="me" />
      <MyPages />
      <Section title="My shifts">
        <Loaded query={schedules}>{({ items }) => <ShiftTable shifts={shiftsOf(items, person.login)} />}</Loaded>
      </Section>
      <Swaps mine />
      <div className="columns even">
        <MyWays />
        <MyTest />
      </div>
      <MyCalendar />
    </PageFrame>
  );
}
