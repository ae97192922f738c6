import type { ReactElement } from "react";
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

function Group({ group }: { group: RuleGroup }): ReactElement {
  return (
    <Section title={group.name} end={<span className="muted">{`every ${duration(group.interval_ms)}, `}evaluated <Time at={group.last_evaluation} /></span>}>
      <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">State</th><th scope="col">Rule</th><th scope="col">Severity</th><th scope="col">Expression</th><th scope="col">For</th></tr></thead>
          <tbody>
            {group.rules.map((rule) => {
              const [look, word] = stateOf(rule);
              return (
                <tr key={rule.name}>
                  <td className="fit"><Status look={look}>{word}</Status></td>
                  <td className="fit strong">{rule.name}</td>
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
            items.map((group) => <Group key={group.name} group={group} />)
          )
        }
      </Loaded>
    </PageFrame>
  );
}
