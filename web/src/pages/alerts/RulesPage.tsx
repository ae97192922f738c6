import { Fragment, useState, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import { given } from "../../api/http";
import type { Rule, RuleGroup, RuleGroups } from "../../api/types";
import { useHeld } from "../../api/useHeld";
import { useQuery } from "../../api/useQuery";
import { duration } from "../../lib/time";
import type { Look } from "../../lib/status";
import { plural } from "../../lib/units";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { AlertTabs } from "./AlertTabs";
import { ListFilter } from "./ListFilter";
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
      {rule.alerts_total > ALERTS_NAMED && <> <Link className="inline-link" to={`/alerts?q=${encodeURIComponent(rule.name)}`}>and {rule.alerts_total - ALERTS_NAMED} more</Link></>}
    </p>
  );
}

const STATES: [string, string][] = [["", "all"], ["trouble", "any trouble"], ["firing", "firing"], ["unknown", "no data"], ["pending", "pending"], ["error", "error"], ["inactive", "not firing"]];
/** With more rules than this, groups in which nothing is wrong are folded. */
const RULES_OPEN = 60;
/** Rules on the page, until somebody wants more. */
const LISTED = 500;
/** The server lists no more in one answer. */
const LISTED_MAX = 20_000;

function RuleTable({ group }: { group: RuleGroup }): ReactElement {
  return (
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
  );
}

/** What is folded is not drawn before somebody opens it. */
function Folded({ group }: { group: RuleGroup }): ReactElement {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{`${plural(group.rules.length, "rule")}, nothing is wrong`}</summary>
      {open && <RuleTable group={group} />}
    </details>
  );
}

const isWell = (rule: Rule): boolean => rule.health === "ok" && rule.state === "inactive";

function Group({ group, many }: { group: RuleGroup; many: boolean }): ReactElement {
  return (
    <Section title={group.name} end={<span className="muted">{`${group.file}, every ${duration(group.interval_ms)}, `}evaluated <Time at={group.last_evaluation} /></span>}>
      {many && group.rules.every(isWell) ? <Folded group={group} /> : <RuleTable group={group} />}
    </Section>
  );
}

const all = ({ counts }: RuleGroups): number => counts.firing + counts.unknown + counts.pending + counts.inactive + counts.error;

/** "2 firing, 1 error, 40 not firing": what is none is not said. */
function counted({ counts }: RuleGroups): string {
  const parts = ([["firing", counts.firing], ["with an error", counts.error], ["without data", counts.unknown], ["pending", counts.pending], ["not firing", counts.inactive]] as const).filter(([, count]) => count > 0);
  return parts.map(([word, count]) => `${count} ${word}`).join(", ");
}

export default function RulesPage(): ReactElement {
  const params = useParams();
  const [state, q] = [params.get("state"), params.get("q")];
  const [limit, setLimit] = useState(LISTED);
  const query = useHeld(useQuery(`rules:${state}:${limit}:${q}`, () => alerts.rules(given({ state, q, limit })), { touches: ["rule.", "alert.", "config."], everyMs: 30_000 }));
  const asked = state !== "" || q !== "";
  return (
    <PageFrame title="Rules">
      <AlertTabs current="rules" />
      <ListFilter what="Rules" states={STATES} placeholder="name, expression" />
      <Loaded query={query}>
        {(list) => {
          if (all(list) === 0 && !asked) return <Empty title="No rule yet." command="tenfold apply demo/config">Rules are files in the Prometheus form, kept in git beside the service.</Empty>;
          if (list.items.length === 0) return <p className="muted">{all(list) > 0 ? "No rule is in this state." : "No rule has this text."}</p>;
          const many = list.items.reduce((sum, group) => sum + group.rules.length, 0) > RULES_OPEN;
          return (
            <>
              <p className="muted" role="status">{query.waits ? "Loading…" : counted(list)}</p>
              {list.items.map((group) => <Group key={`${group.file} ${group.name}`} group={group} many={many} />)}
              {list.next != null && limit < LISTED_MAX && <p><button type="button" className="button small" onClick={() => setLimit(Math.min(limit * 5, LISTED_MAX))}>Show more rules</button></p>}
            </>
          );
        }}
      </Loaded>
    </PageFrame>
  );
}
