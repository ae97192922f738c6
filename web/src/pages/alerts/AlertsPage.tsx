import { useState, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { alertLook, worst, type Look } from "../../lib/status";
import { plural } from "../../lib/units";
import { AlertItem, MoreAlerts } from "../../parts/AlertItem";
import { byService, isLive, LISTED, pendingCount, type AlertGroup } from "../../parts/alertGroups";
import { Link } from "../../router/Link";
import { Empty, Status } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { AlertTabs } from "./AlertTabs";
import { RefusedRequests } from "./RefusedRequests";

/** A group takes its worst. */
const WORST: Partial<Record<Look, string>> = { critical: "Critical", warning: "Warning", unknown: "No data" };
const OVER_MAX = 30;
/** So many of one service are listed when somebody asks for all of it. */
const OPENED_MAX = 500;
const TOUCHES = ["alert.", "mute.", "incident.acknowledged", "deploy."];

function Group({ group }: { group: AlertGroup }): ReactElement {
  const { name, service, total } = group;
  const [opened, setOpened] = useState(false);
  const all = useQuery(opened ? `alerts:all:${service}` : null, () => alerts.list({ service, limit: OPENED_MAX }), { touches: TOUCHES });
  const items = opened && all.data ? all.data.items.filter(isLive) : group.items;
  const look = worst(items.map((alert) => alertLook(alert)[0]));
  return (
    <Section title={name} end={<Status look={look}>{WORST[look] ?? "Info"}, {plural(total, "alert")}</Status>}>
      <ul>{items.map((alert) => <AlertItem key={alert.fingerprint} alert={alert} />)}</ul>
      <MoreAlerts count={total - items.length} {...(opened ? {} : { open: () => setOpened(true), of: name })} />
    </Section>
  );
}

/** What fires, by service, with the changes that came before; then what nearly fires and what is over. */
export default function AlertsPage(): ReactElement {
  const query = useQuery("alerts", () => alerts.list({ per_service: LISTED }), { touches: TOUCHES, everyMs: 30_000 });
  return (
    <PageFrame title="Alerts">
      <AlertTabs current="alerts" />
      <RefusedRequests />
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
    </PageFrame>
  );
}
