import { useEffect, useMemo, useRef, useState, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import { given } from "../../api/http";
import type { Alert } from "../../api/types";
import { useHeld } from "../../api/useHeld";
import { useQuery } from "../../api/useQuery";
import { hasWords, searchWords } from "../../lib/search";
import { alertLook, worst, type Look } from "../../lib/status";
import { count, plural } from "../../lib/units";
import { AlertItem, MoreAlerts } from "../../parts/AlertItem";
import { byService, isLive, LISTED, pendingCount, type AlertGroup } from "../../parts/alertGroups";
import { Link } from "../../router/Link";
import { addressWith, useParams } from "../../router/router";
import { Empty, Problem, Status } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { AlertTabs } from "./AlertTabs";
import { ListFilter } from "./ListFilter";
import { RefusedRequests } from "./RefusedRequests";

/** A group takes its worst. */
const WORST: Partial<Record<Look, string>> = { critical: "Critical", warning: "Warning", unknown: "No data" };
const OVER_MAX = 30;
/** Critical ones are those of them that fire. */
const STATES: [string, string][] = [["", "all"], ["critical", "critical"], ["firing", "firing"], ["unknown", "no data"], ["pending", "pending"], ["resolved", "resolved"]];
/** The server tells no more of them at once. */
const SEARCHED_MAX = 10_000;
/** Of those that are found, so many are listed. */
const FOUND_MAX = 200;
/** So many of one service are listed when somebody asks for all of it. */
const OPENED_MAX = 500;
const TOUCHES = ["alert.", "mute.", "incident.acknowledged", "deploy."];

function Group({ group }: { group: AlertGroup }): ReactElement {
  const { name, service, total } = group;
  const [opened, setOpened] = useState(false);
  const all = useQuery(opened ? `alerts:all:${service}` : null, () => alerts.list({ service, limit: OPENED_MAX }), { touches: TOUCHES });
  const list = useRef<HTMLUListElement>(null);
  const first = useRef(0);
  const told = opened && all.data !== undefined;
  useEffect(() => {
    // The button that was pressed is gone: whoever pressed it goes on with what it listed.
    if (told && document.activeElement === document.body) list.current?.children[first.current]?.querySelector("a")?.focus({ preventScroll: true });
  }, [told]);
  const open = (): void => {
    first.current = group.items.length;
    setOpened(true);
  };
  const items = opened && all.data ? all.data.items.filter(isLive) : group.items;
  const look = worst(items.map((alert) => alertLook(alert)[0]));
  return (
    <Section title={name} end={<Status look={look}>{WORST[look] ?? "Info"}, {plural(total, "alert")}</Status>}>
      <ul ref={list}>{items.map((alert) => <AlertItem key={alert.fingerprint} alert={alert} />)}</ul>
      {all.error && <Problem message={all.error.message} advice={all.error.advice} retry={all.reload} />}
      <MoreAlerts count={total - items.length} {...(opened ? {} : { open, of: name })} />
      {told && total > items.length && service && <p><Link className="inline-link" to={`/alerts?service=${encodeURIComponent(service)}`}>Search in all of {name}</Link></p>}
    </Section>
  );
}

/** Where words are looked for: what it is called, what it says, and its labels as `host=web-1`. */
const searchedIn = ({ rule, summary, description, labels }: Alert): string =>
  [rule, summary, description ?? "", ...Object.entries(labels).map(([name, value]) => `${name}=${String(value)}`)].join("\n");

/** Those with all the words, and of critical ones only those. */
export function foundOf(items: Alert[], state: string, q: string): Alert[] {
  const words = searchWords(q);
  return items.filter((alert) => (state !== "critical" || alert.severity === "critical") && (words.length === 0 || hasWords(searchedIn(alert), words)));
}

/** What somebody looks for, the most urgent first. */
function Found({ q, state, service }: { q: string; state: string; service: string }): ReactElement {
  const asked = { limit: SEARCHED_MAX, ...given({ state: state === "critical" ? "firing" : state, service }) };
  // A storm is not read anew as a whole with each of its events.
  const query = useHeld(useQuery(`alerts:found:${JSON.stringify(asked)}`, () => alerts.list(asked), { touches: ["mute.", "incident.acknowledged"], everyMs: 30_000 }));
  const found = useMemo(() => foundOf(query.data?.items ?? [], state, q), [query.data, state, q]);
  const end = query.data && <span className="muted" role="status">{query.waits ? "Loading…" : <>{count(found.length)} of {plural(query.data.items.length, "alert")}{query.data.next ? ", the most urgent ones" : ""}</>}</span>;
  return (
    <Section title="Found" end={end}>
      <Loaded query={query}>
        {() => (
          <>
            {found.length === 0 && <p className="muted">No alert is like that now.{q && " Write fewer words, or only a part of a word."}</p>}
            <ul>{found.slice(0, FOUND_MAX).map((alert) => <AlertItem key={alert.fingerprint} alert={alert} spark={alert.state !== "resolved"} />)}</ul>
            {found.length > FOUND_MAX && <p className="muted">and {plural(found.length - FOUND_MAX, "more alert")}: add a word</p>}
          </>
        )}
      </Loaded>
    </Section>
  );
}

/** Each service with what fires of it and the changes that came before; then what nearly fires and what is over. */
function ByService(): ReactElement {
  const query = useQuery("alerts", () => alerts.list({ per_service: LISTED }), { touches: TOUCHES, everyMs: 30_000 });
  return (
    <Loaded query={query}>
      {({ items, counts }) => {
        const groups = byService(items, counts);
        const pending = items.filter(({ state }) => state === "pending");
        const over = items.filter(({ state }) => state === "resolved").slice(0, OVER_MAX);
        return (
          <>
            {groups.length === 0 && (
              <Empty title="Nothing fires." {...(items.length === 0 ? { command: "tenfold apply demo/config" } : {})}>
                {items.length === 0 ? "Rules are files in the Prometheus form; apply some under rules/." : <Link className="inline-link" to="/alerts/rules">All rules and their state</Link>}
              </Empty>
            )}
            {groups.map((group) => <Group key={group.service} group={group} />)}
            {pending.length > 0 && (
              <Section title="Pending">
                <ul>{pending.map((alert) => <AlertItem key={alert.fingerprint} alert={alert} />)}</ul>
                <MoreAlerts count={pendingCount(counts) - pending.length} />
              </Section>
            )}
            {over.length > 0 && <Section title="Resolved"><ul>{over.map((alert) => <AlertItem key={alert.fingerprint} alert={alert} spark={false} />)}</ul></Section>}
          </>
        );
      }}
    </Loaded>
  );
}

/** What fires, by service, or what somebody looks for; that stands in the address. */
export default function AlertsPage(): ReactElement {
  const params = useParams();
  const [q, state, service] = [params.get("q").trim(), params.get("state"), params.get("service")];
  return (
    <PageFrame title="Alerts">
      <AlertTabs current="alerts" />
      <RefusedRequests />
      <ListFilter what="Alerts" states={STATES} placeholder="name, words, host=web-1" />
      {service && <p>Only those of <span className="strong">{service}</span>. <Link className="inline-link" to={addressWith({ service: null })}>All services</Link></p>}
      {q || state || service ? <Found q={q} state={state} service={service} /> : <ByService />}
    </PageFrame>
  );
}
