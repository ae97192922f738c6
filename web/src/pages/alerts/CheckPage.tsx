import { useState, type ReactElement } from "react";
import { checks, record } from "../../api/endpoints";
import type { Check } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { EventLine } from "../../parts/EventRow";
import { Link } from "../../router/Link";
import type { PageProps } from "../../shell/routes";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { CheckGraphs } from "./CheckGraphs";
import { checkLook } from "./checkLook";

function History({ check }: { check: Check }): ReactElement {
  const now = useNow(60_000);
  const query = useQuery(`check-history:${check.name}`, () => record.list({ kind: "check.", correlation: `check:${check.name}`, limit: 100 }), { touches: ["check."] });
  return (
    <Section title="History">
      <Loaded query={query}>
        {({ items }) => (items.length === 0
          ? <p className="muted">No change of state yet.</p>
          : <ol>{items.map((event) => <EventLine key={event.seq} event={event} now={now} />)}</ol>)}
      </Loaded>
    </Section>
  );
}

function Facts({ check }: { check: Check }): ReactElement {
  const { spec } = check;
  return (
    <Section title="Facts">
      <dl className="facts">
        <dt>Since</dt><dd><Time at={check.since} show="both" /></dd>
        <dt>Last look</dt><dd><Time at={check.last_at} show="both" /></dd>
        {check.next_at && <><dt>Next</dt><dd><Time at={check.next_at} show="stamp" seconds /></dd></>}
        <dt>Host</dt><dd>{spec.host || "—"}</dd>
        {spec.service && <><dt>Service</dt><dd>{spec.service}</dd></>}
        <dt>Interval</dt><dd>{`${spec.interval ?? ""}, ${spec.retry_interval ?? ""} while a problem is not sure`}</dd>
        <dt>Alert</dt><dd>{check.alerts ? <Link to={check.alert ? `/alerts/${check.alert}` : "/alerts"}>fires</Link> : "none"}</dd>
        {spec.parents && spec.parents.length > 0 && <><dt>Behind</dt><dd>{spec.parents.map((parent) => <Link key={parent} className="inline-link" to={`/alerts/checks/${parent}`}>{parent}</Link>)}</dd></>}
        {check.findings?.length ? <><dt>To mend</dt><dd>{`Its alert ${check.findings.join("; ")}`}</dd></> : null}
        <dt>What is run</dt><dd className="mono wrap-any">{JSON.stringify(spec.run)}</dd>
        {check.flapping && <><dt>Flapping</dt><dd>{`${Math.round(check.change_percent)} % of its states changed`}</dd></>}
      </dl>
    </Section>
  );
}

function Body({ check }: { check: Check }): ReactElement {
  return (
    <div className="columns">
      <div className="stack">
        <Section title="Said">
          <pre className="expression">{[check.output || "nothing yet", check.long_output].filter(Boolean).join("\n")}</pre>
        </Section>
        <CheckGraphs check={check} />
      </div>
      <div className="stack">
        <Facts check={check} />
        <History check={check} />
      </div>
    </div>
  );
}

/** One check: what it said, its values over time, and its changes. */
export default function CheckPage({ params }: PageProps): ReactElement {
  const name = params.name ?? "";
  const query = useQuery(`check:${name}`, () => checks.show(name), { touches: ["check."], everyMs: 5_000 });
  const [asked, setAsked] = useState("");
  const [look, word] = query.data ? checkLook(query.data) : (["unknown", ""] as const);
  const ask = (): void => {
    checks.now(name).then(() => setAsked("It is looked at now."), (error: Error) => setAsked(error.message));
  };
  const passive = query.data?.kind === "passive" ? "its results are sent from outside" : null;
  return (
    <PageFrame
      title={name}
      sub={query.data && <Status look={look}>{word}</Status>}
      actions={<><span role="status" className="muted">{asked}</span><ActionButton onClick={ask} why={passive}>Look now</ActionButton></>}
    >
      <Loaded query={query}>{(check) => <Body check={check} />}</Loaded>
    </PageFrame>
  );
}
