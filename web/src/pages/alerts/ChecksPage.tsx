import { useState, type ReactElement } from "react";
import { checks } from "../../api/endpoints";
import { given } from "../../api/http";
import type { Check, CheckList } from "../../api/types";
import { useHeld } from "../../api/useHeld";
import { useQuery } from "../../api/useQuery";
import { useParams } from "../../router/router";
import { Link } from "../../router/Link";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { AlertTabs } from "./AlertTabs";
import { checkLook } from "./checkLook";
import { ListFilter } from "./ListFilter";

function Row({ check }: { check: Check }): ReactElement {
  const [look, word] = checkLook(check);
  return (
    <tr>
      <td className="fit"><Status look={look}>{word}</Status></td>
      <td className="fit strong"><Link to={`/alerts/checks/${encodeURIComponent(check.name)}`}>{check.name}</Link></td>
      <td className="fit">{check.spec.host || "—"}</td>
      <td className="wrap-any">{check.output || "—"}{check.flapping && <span className="muted">{` (flaps: ${Math.round(check.change_percent)} % of its states changed)`}</span>}</td>
      <td className="fit" data-what="since"><Time at={check.since} /></td>
      <td className="fit" data-what="last"><Time at={check.last_at} /></td>
    </tr>
  );
}

const STATES: [string, string][] = [["", "all"], ["problem", "any problem"], ["critical", "critical"], ["unknown", "unknown"], ["warning", "warning"], ["ok", "ok"]];
/** Checks on the page, until somebody wants more. */
const LISTED = 200;
/** The server lists no more in one answer. */
const LISTED_MAX = 10_000;

/** "2 critical, 1 warning, 40 ok": what is none is not said. */
function counted({ counts }: CheckList): string {
  const parts = ([["critical", counts.critical], ["unknown", counts.unknown], ["warning", counts.warning], ["ok", counts.ok]] as const).filter(([, count]) => count > 0);
  return parts.map(([word, count]) => `${count} ${word}`).join(", ");
}

const all = ({ counts }: CheckList): number => counts.critical + counts.unknown + counts.warning + counts.ok;

function Table({ list, waits, more }: { list: CheckList; waits: boolean; more: () => void }): ReactElement {
  const { scheduler } = list;
  return (
    <Section title="Checks" end={<span className="muted" role="status">{waits ? "Loading…" : counted(list)}</span>}>
      <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">State</th><th scope="col">Check</th><th scope="col">Host</th><th scope="col">Said</th><th scope="col">Since</th><th scope="col">Last</th></tr></thead>
          <tbody>{list.items.map((check) => <Row key={check.name} check={check} />)}</tbody>
        </table>
      </TableWrap>
      {list.items.length === 0 && <p className="muted">{all(list) > 0 ? "None is in this state." : "No check has this text."}</p>}
      {list.next && list.items.length < LISTED_MAX && <p><button type="button" className="button small" onClick={more}>Show more checks</button></p>}
      <p className="muted">{`${scheduler.done} looks since the start, ${scheduler.running} under way; half of them began within ${scheduler.late_p50_ms} ms of their time, 99 of 100 within ${scheduler.late_p99_ms} ms.`}</p>
    </Section>
  );
}

/** What is looked at, the worst first. */
export default function ChecksPage(): ReactElement {
  const params = useParams();
  const [state, q] = [params.get("state"), params.get("q")];
  const [limit, setLimit] = useState(LISTED);
  const query = useHeld(useQuery(`checks:${state}:${limit}:${q}`, () => checks.list(given({ state, q, limit })), { touches: ["check."], everyMs: 10_000 }));
  const asked = state !== "" || q !== "";
  return (
    <PageFrame title="Checks">
      <AlertTabs current="checks" />
      <ListFilter what="Checks" states={STATES} placeholder="name, host, output" />
      <Loaded query={query}>
        {(list) => (all(list) === 0 && !asked
          ? <Empty title="There are no checks yet." command="tenfold checks put db1-disk check.yaml">A check is a Nagios plugin or a built-in look on an interval; its problems become alerts.</Empty>
          : <Table list={list} waits={query.waits} more={() => setLimit(Math.min(limit * 5, LISTED_MAX))} />)}
      </Loaded>
    </PageFrame>
  );
}
