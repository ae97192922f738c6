import type { ReactElement } from "react";
import { checks } from "../../api/endpoints";
import type { Check, CheckList } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useParams } from "../../router/router";
import { Link } from "../../router/Link";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { AlertTabs } from "./AlertTabs";
import { checkLook } from "./checkLook";

function Row({ check }: { check: Check }): ReactElement {
  const [look, word] = checkLook(check);
  return (
    <tr>
      <td className="fit"><Status look={look}>{word}</Status></td>
      <td className="fit strong"><Link to={`/alerts/checks/${check.name}`}>{check.name}</Link></td>
      <td className="fit">{check.spec.host || "—"}</td>
      <td className="wrap-any">{check.output || "—"}{check.flapping && <span className="muted">{` (flaps: ${Math.round(check.change_percent)} % of its states changed)`}</span>}</td>
      <td className="fit" data-what="since"><Time at={check.since} /></td>
      <td className="fit" data-what="last"><Time at={check.last_at} /></td>
    </tr>
  );
}

function Table({ list }: { list: CheckList }): ReactElement {
  const params = useParams();
  const bad = params.get("show") === "problems";
  const shown = bad ? list.items.filter((check) => check.status !== "ok") : list.items;
  const { scheduler } = list;
  return (
    <Section
      title={bad ? "Problems" : "All checks"}
      end={<Link className="inline-link" to={bad ? "/alerts/checks" : "/alerts/checks?show=problems"}>{bad ? "Show all" : "Show problems only"}</Link>}
    >
      <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">State</th><th scope="col">Check</th><th scope="col">Host</th><th scope="col">Said</th><th scope="col">Since</th><th scope="col">Last</th></tr></thead>
          <tbody>{shown.map((check) => <Row key={check.name} check={check} />)}</tbody>
        </table>
      </TableWrap>
      {shown.length === 0 && <p className="muted">Every check is well.</p>}
      <p className="muted">{`${scheduler.done} looks since the start, ${scheduler.running} under way; half of them began within ${scheduler.late_p50_ms} ms of their time, 99 of 100 within ${scheduler.late_p99_ms} ms.`}</p>
    </Section>
  );
}

/** What is looked at, the worst first. */
export default function ChecksPage(): ReactElement {
  const query = useQuery("checks", checks.list, { touches: ["check."], everyMs: 10_000 });
  return (
    <PageFrame title="Checks">
      <AlertTabs current="checks" />
      <Loaded query={query}>
        {(list) => (list.items.length === 0
          ? <Empty title="There are no checks yet." command="tenfold checks put db1-disk check.yaml">A check is a Nagios plugin or a built-in look on an interval; its problems become alerts.</Empty>
          : <Table list={list} />)}
      </Loaded>
    </PageFrame>
  );
}
