import { Fragment, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import type { Rule, RuleGroup } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { duration } from "../../lib/time";
import type { Look } from "../../lib/status";
import { Link } from "../../router/Link";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { AlertTabs } from "./AlertTabs";
import { TableWrap } from "../../ui/TableWrap";

const STATE: Record<string, [Look, string]> = {
  firing: ["critical", "Firing"], pending: ["busy", "Pending"], inactive: ["ok", "Not firing"], unknown: ["unknown", "No data"],
};

const severityOf = (rule: Rule): string => (typeof rule.labels.severity === "string" ? rule.labels.severity : "");

/** "Not evaluated" and "no series" are not OK. */
function stateOf(rule: Rule): [Look, string] {
  if (rule.health === "error") return ["critical", "Error"];
  if (rule.health !== "ok") return ["unknown", "Not evaluated"];
  if (rule.kind === "recording") return ["ok", "Recorded"];
  const [look, word] = STATE[rule.state] ?? ["unknown", rule.state];
  return look === "critical" && severityOf(rule) === "warning" ? ["warning", word] : [look, word];
}

/** Alerts of a rule that are named one by one. */
const ALERTS_NAMED = 10;

/** What tells an alert from the others of its rule: the labels that the rule does not set. */
const labelsOf = (rule: Rule, labels: Record<string, unknown>): string =>
  Object.entries(labels).filter(([name]) => name !== "alertname" && !(name in rule.labels)).map(([name, value]) => `${name}=${String(value)}`).join(", ");

function RuleAlerts({ rule }: { rule: Rule }): ReactElement | null {
  if (rule.alerts.length === 0) return null;
  return (
    <p className="small measure">
      {rule.alerts.slice(0, ALERTS_NAMED).map((alert, index) => (
        <Fragment key={alert.fingerprint}>{index > 0 && "; "}<Link className="inline-link" to={`/alerts/${alert.fingerprint}`}>{labelsOf(rule, alert.labels) || rule.name}</Link></Fragment>
      ))}
      {rule.alerts.length > ALERTS_NAMED && <span className="muted">{` and ${rule.alerts.length - ALERTS_NAMED} more`}</span>}
    </p>
  );
}

function Group({ group }: { group: RuleGroup }): ReactElement {
  return (
    <Section title={group.name} end={<span className="muted">{`${group.file}, every ${duration(group.interval_ms)}, `}evaluated <Time at={group.last_evaluation} /></span>}>
      <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">State</th><th scope="col">Rule</th><th scope="col">Severity</th><th scope="col">Expression</th><th scope="col">For</th></tr></thead>
          <tbody>
            {group.rules.map((rule, index) => {
              const [look, word] = stateOf(rule);
              return (
                <tr key={`${rule.name} ${index}`}>
                  <td className="fit"><Status look={look}>{word}</Status></td>
                  <td><span className="strong">{rule.name}</span><RuleAlerts rule={rule} />{rule.findings.map((finding) => <p key={finding.message} className="small muted measure">◆ {finding.message} (line {finding.line})</p>)}</td>
                  <td className="fit">{severityOf(rule) || "—"}</td>
                  <td><Link className="mono wrap-any" to={`/graphs/explore?expr=${encodeURIComponent(rule.expr)}`}>{rule.expr}</Link>{rule.error && <p className="form-error">{rule.error}</p>}</td>
                  <td className="fit">{rule.for_ms ? duration(rule.for_ms) : "—"}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </TableWrap>
    </Section>
  );
}

export default function RulesPage(): ReactElement {
  const query = useQuery("rules", alerts.rules, { touches: ["rule.", "alert.", "config."], everyMs: 30_000 });
  return (
    <PageFrame title="Rules">
      <AlertTabs current="rules" />
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No rule yet." command="tenfold apply demo/config">Rules are files in the Prometheus form, kept in git beside the service.</Empty>
          ) : (
            items.map((group) => <Group key={`${group.file} ${group.name}`} group={group} />)
          )
        }
      </Loaded>
    </PageFrame>
  );
}
