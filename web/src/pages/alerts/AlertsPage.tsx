import type { ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import type { Alert } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { alertLook, worst, type Look } from "../../lib/status";
import { plural } from "../../lib/units";
import { AlertItem } from "../../parts/AlertItem";
import { Link } from "../../router/Link";
import { Empty, Status } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { AlertTabs } from "./AlertTabs";

const ORDER = ["critical", "warning", "info"];
/** A group takes its worst. */
const WORST: Partial<Record<Look, string>> = { critical: "Critical", warning: "Warning", unknown: "No data" };

function byService(items: Alert[]): [string, Alert[]][] {
  const groups = new Map<string, Alert[]>();
  for (const alert of items) {
    const name = alert.service ?? "no service";
    groups.set(name, [...(groups.get(name) ?? []), alert]);
  }
  for (const group of groups.values()) group.sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
  return [...groups].sort(([a], [b]) => a.localeCompare(b));
}

function Group({ name, items }: { name: string; items: Alert[] }): ReactElement {
  const look = worst(items.map((alert) => alertLook(alert)[0]));
  return (
    <Section title={name} end={<Status look={look}>{WORST[look] ?? "Info"}, {plural(items.length, "alert")}</Status>}>
      <ul>{items.map((alert) => <AlertItem key={alert.fingerprint} alert={alert} />)}</ul>
    </Section>
  );
}

/** What fires, by service, with the changes that came before; then what nearly fires and what is over. */
export default function AlertsPage(): ReactElement {
  const query = useQuery("alerts", () => alerts.list(), { touches: ["alert.", "mute.", "incident.acknowledged", "deploy."], everyMs: 30_000 });
  return (
    <PageFrame title="Alerts">
      <AlertTabs current="alerts" />
      <Loaded query={query}>
        {({ items }) => {
          const live = items.filter(({ state }) => state === "firing" || state === "unknown");
          const pending = items.filter(({ state }) => state === "pending");
          const over = items.filter(({ state }) => state === "resolved").slice(0, 30);
          return (
            <>
              {live.length === 0 && (
                <Empty title="Nothing fires." {...(items.length === 0 ? { command: "tenfold apply demo/config" } : {})}>
                  {items.length === 0 ? "Rules are files in the Prometheus form; apply some under rules/." : <Link className="inline-link" to="/alerts/rules">All rules and their state</Link>}
                </Empty>
              )}
              {byService(live).map(([name, group]) => <Group key={name} name={name} items={group} />)}
              {pending.length > 0 && <Section title="Pending"><ul>{pending.map((alert) => <AlertItem key={alert.fingerprint} alert={alert} />)}</ul></Section>}
              {over.length > 0 && <Section title="Resolved"><ul>{over.map((alert) => <AlertItem key={alert.fingerprint} alert={alert} spark={false} />)}</ul></Section>}
            </>
          );
        }}
      </Loaded>
    </PageFrame>
  );
}
