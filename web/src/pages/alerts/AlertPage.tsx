import { Fragment, useMemo, useState, type ReactElement } from "react";
import { alerts, record } from "../../api/endpoints";
import type { Alert } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { Chart } from "../../charts/Chart";
import { MarkerKey } from "../../charts/MarkerKey";
import { RangePicker } from "../../charts/RangePicker";
import { useRange } from "../../charts/range";
import { useLines } from "../../charts/useLines";
import { useMarkers } from "../../charts/useMarkers";
import { useNow } from "../../lib/clock";
import { alertLook } from "../../lib/status";
import { EventLine } from "../../parts/EventRow";
import { format } from "../../lib/units";
import { withoutThreshold } from "../../parts/expression";
import { Suspects } from "../../parts/Suspects";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import type { PageProps } from "../../shell/routes";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { Decisions } from "./Decisions";
import { linksOf } from "./links";
import { showMatchers } from "./matchers";
import { MuteDialog } from "./MuteDialog";
import { WhyNot } from "./WhyNot";

function Graph({ alert, expr }: { alert: Alert; expr: string }): ReactElement {
  const range = useRange();
  const params = useParams();
  const { expr: left, threshold } = withoutThreshold(expr);
  const queries = useMemo(() => [{ expr: left }], [left]);
  const { times, lines, note, loading } = useLines(queries, range);
  const markers = useMarkers(range, alert.service);
  const withLine = useMemo(
    () => (threshold === null || lines.length === 0 ? lines : [...lines, { label: `threshold ${threshold}`, limit: true, values: times.map(() => threshold) }]),
    [lines, times, threshold],
  );
  return (
    <Section title="Graph" end={<RangePicker range={range} />}>
      <Chart title={alert.rule} unit="short" times={times} lines={withLine} note={note} loading={loading} markers={markers} rangeText={range.text} height={240} onZoom={(from, to) => params.set({ from: String(from), to: String(to), range: null }, false)} />
      <MarkerKey />
    </Section>
  );
}

function History({ alert }: { alert: Alert }): ReactElement {
  const now = useNow(60_000);
  const query = useQuery(`alert-history:${alert.fingerprint}`, () => record.list({ kind: "alert.", alert: alert.fingerprint, limit: 200 }), { touches: ["alert."] });
  return (
    <Section title="History">
      <Loaded query={query}>
        {({ items }) => (items.length === 0 ? <p className="muted">No change of state is in the record.</p> : <ol>{items.map((event) => <EventLine key={event.seq} event={event} now={now} />)}</ol>)}
      </Loaded>
    </Section>
  );
}

function Body({ alert }: { alert: Alert }): ReactElement {
  const links = linksOf(alert);
  return (
    <>
      {alert.description && <p>{alert.description}</p>}
      <div className="columns">
        <div className="stack">
          {alert.expr ? <Graph alert={alert} expr={alert.expr} /> : null}
          <Section title="Changes shortly before">
            {alert.suspects.length === 0 ? <p className="muted">No deploy and no flip shortly before it began.</p> : <Suspects suspects={alert.suspects} service={alert.service} environment={alert.environment} over={alert.state === "resolved"} />}
          </Section>
        </div>
        <div className="stack">
          <Section title="Facts">
            <dl className="facts">
              <dt>Since</dt><dd><Time at={alert.active_since} show="both" /></dd>
              {alert.fired_at && <><dt>Fired</dt><dd><Time at={alert.fired_at} show="both" /></dd></>}
              {alert.resolved_at && <><dt>Resolved</dt><dd><Time at={alert.resolved_at} show="both" /></dd></>}
              {alert.flapping && <><dt>Flapping</dt><dd>since <Time at={alert.flapping.since} show="both" />, held as firing until it is calm at <Time at={alert.flapping.calm_at} show="both" />{alert.flapping.over_since && <>; over since <Time at={alert.flapping.over_since} show="both" />, if it stays so</>}</dd></>}
              <dt>Value</dt><dd>{format(alert.value, "short")}</dd>
              <dt>Who has it</dt><dd>{alert.acknowledged_by ?? "nobody yet"}</dd>
              {alert.muted_by ? <><dt>Muted</dt><dd>by <Link to="/alerts/mutes">mute {alert.muted_by}</Link></dd></> : null}
              {alert.incident ? <><dt>Incident</dt><dd>{[alert.incident, ...(alert.further_incidents ?? [])].map((number, index) => <Fragment key={number}>{index > 0 && ", "}<Link className="inline-link" to={`/incidents/${number}`}>{number}</Link></Fragment>)}</dd></> : null}
              <dt>Runbook</dt><dd>{alert.runbook_url ? <a href={alert.runbook_url} rel="noreferrer noopener" className="wrap-any">{alert.runbook_url}</a> : <span className="muted">none</span>}</dd>
              {links.length > 0 && <><dt>Links</dt><dd><ul>{links.map(({ href, text }) => <li key={href}><a href={href} rel="noreferrer noopener" className="wrap-any">{text}</a></li>)}</ul></dd></>}
              <dt>Labels</dt><dd className="mono wrap-any">{Object.entries(alert.labels).map(([name, value]) => `${name}="${String(value)}"`).join(", ")}</dd>
              {alert.expr && <><dt>Rule</dt><dd><Link className="mono wrap-any" to={`/graphs/explore?expr=${encodeURIComponent(alert.expr)}`}>{alert.expr}</Link></dd></>}
            </dl>
          </Section>
          <Decisions alert={alert} />
          {alert.state !== "resolved" && <WhyNot alert={alert} />}
          <History alert={alert} />
        </div>
      </div>
    </>
  );
}

/** Its own labels: just this alert. Whoever wants more takes some out. */
const ownMatchers = ({ labels }: Alert): string => showMatchers(Object.entries(labels).map(([name, value]) => ({ name, op: "=", value: String(value) })));

export default function AlertPage({ params }: PageProps): ReactElement {
  const fingerprint = params.fingerprint ?? "";
  const query = useQuery(`alert:${fingerprint}`, () => alerts.one(fingerprint), { touches: ["alert.", "mute.", "incident.acknowledged", "deploy."], everyMs: 30_000 });
  const alert = query.data;
  const [look, word] = alert ? alertLook(alert) : (["unknown", ""] as const);
  const [muting, setMuting] = useState(false);
  return (
    <PageFrame title={alert?.summary || alert?.rule || "Alert"} sub={alert && <Status look={look}>{word}</Status>} actions={alert && <button type="button" className="button" onClick={() => setMuting(true)}>Mute…</button>}>
      {alert && muting && <MuteDialog matchers={ownMatchers(alert)} onClose={() => setMuting(false)} />}
      {!alert && query.error?.status === 404 ? (
        <Empty title="This alert is not known any more."><Link className="inline-link" to="/alerts">All alerts</Link></Empty>
      ) : (
        <Loaded query={query}>{(shown) => <Body alert={shown} />}</Loaded>
      )}
    </PageFrame>
  );
}
