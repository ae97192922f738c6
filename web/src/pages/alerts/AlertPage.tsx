import { Fragment, useCallback, useMemo, useState, type ReactElement } from "react";
import { alerts, checks, incidents, record } from "../../api/endpoints";
import type { Series } from "../../api/promql";
import type { Alert } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { Chart } from "../../charts/Chart";
import { MarkerKey } from "../../charts/MarkerKey";
import { RangePicker } from "../../charts/RangePicker";
import { exploreOf } from "../../charts/PanelLinks";
import { useRange } from "../../charts/range";
import { useLines } from "../../charts/useLines";
import { useMarkers } from "../../charts/useMarkers";
import { useNow } from "../../lib/clock";
import { alertLook } from "../../lib/status";
import { useAction } from "../../lib/useAction";
import { EventLine } from "../../parts/EventRow";
import { format } from "../../lib/units";
import { openingOf, ownSeries, type Opening } from "../../parts/alertGraph";
import { Suspects } from "../../parts/Suspects";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import type { PageProps } from "../../shell/routes";
import { useLacks } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { CheckGraphs } from "./CheckGraphs";
import { Decisions } from "./Decisions";
import { linksOf } from "./links";
import { showMatchers } from "./matchers";
import { MuteDialog } from "./MuteDialog";
import { Before, Paging } from "./Response";
import { WhyNot } from "./WhyNot";

/** The alert's own series, and the threshold. */
function Graph({ alert, graph, opening }: { alert: Alert; graph: NonNullable<Alert["graph"]>; opening: Opening }): ReactElement {
  const range = useRange(opening.name, opening.ends);
  const params = useParams();
  const { expr } = graph;
  const { labels } = alert;
  const threshold = graph.threshold ?? null;
  const queries = useMemo(() => [{ expr }], [expr]);
  const keep = useCallback((series: Series[]) => ownSeries(series, labels), [labels]);
  const { times, lines, note, loading } = useLines(queries, range, keep);
  const markers = useMarkers(range, alert.service);
  const withLine = useMemo(
    () => (threshold === null || lines.length === 0 ? lines : [...lines, { label: `threshold ${threshold}`, limit: true, values: times.map(() => threshold) }]),
    [lines, times, threshold],
  );
  const explore = <Link className="inline-link" aria-label={`explore ${alert.rule}`} to={exploreOf({ title: alert.rule, queries }, range)}>explore</Link>;
  return (
    <Section title="Graph" end={<RangePicker range={range} />}>
      <Chart title={alert.rule} tools={explore} unit="short" times={times} lines={withLine} note={note} loading={loading} markers={markers} rangeText={range.text} height={240} onZoom={(from, to) => params.set({ from: String(from), to: String(to), range: null }, false)} />
      {!alert.expr && !loading && lines.length === 0 && <p className="muted">What its sender asks is not measured here.</p>}
      <MarkerKey />
    </Section>
  );
}

/** What the check measured: one that is gone meanwhile has no values to draw. */
function OfCheck({ name, opening }: { name: string; opening: Opening }): ReactElement {
  const query = useQuery(`check:${name}`, () => checks.show(name), { touches: ["check."], everyMs: 30_000 });
  return query.error?.status === 404 ? <p className="muted">The check is not there any more.</p> : <Loaded query={query}>{(check) => <CheckGraphs check={check} opening={opening} />}</Loaded>;
}

/** Takes its incident, so that the paging stops. */
function Acknowledge({ alert, incident }: { alert: Alert; incident: number }): ReactElement {
  const { busy, run } = useAction("incident.", "page.", "alert.");
  const lacks = useLacks("responder");
  const why = alert.acknowledged_by ? `${alert.acknowledged_by} has it.` : lacks;
  return <ActionButton look={why ? undefined : "primary"} busy={busy} why={why} onClick={() => void run(() => incidents.acknowledge(incident), `You have incident ${incident}. The paging stops.`)}>Acknowledge</ActionButton>;
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

/** Its own labels: just this alert. Whoever wants more takes some out. */
const ownMatchers = ({ labels }: Alert): string => showMatchers(Object.entries(labels).map(([name, value]) => ({ name, op: "=", value: String(value) })));

/** What to do, first of all. */
function Runbook({ url }: { url: string }): ReactElement | null {
  return /^https?:\/\//.test(url) ? <a className="button" href={url} rel="noreferrer noopener">Runbook</a> : null;
}

function Body({ alert }: { alert: Alert }): ReactElement {
  const links = linksOf(alert);
  // As it was when the page was opened: what is looked at does not jump as the alert grows older.
  const [opening] = useState(() => openingOf(alert, Date.now()));
  return (
    <>
      {alert.description && <p>{alert.description}</p>}
      <div className="columns">
        <div className="stack">
          {alert.check ? <OfCheck name={alert.check} opening={opening} /> : alert.graph ? <Graph alert={alert} graph={alert.graph} opening={opening} /> : null}
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
              <dt>Runbook</dt><dd>{!alert.runbook_url ? <span className="muted">none</span> : /^https?:\/\//.test(alert.runbook_url) ? <a href={alert.runbook_url} rel="noreferrer noopener" className="wrap-any">{alert.runbook_url}</a> : <span className="wrap-any">{alert.runbook_url}</span>}</dd>
              {alert.check && <><dt>Check</dt><dd><Link to={`/alerts/checks/${encodeURIComponent(alert.check)}`}>{alert.check}</Link></dd></>}
              {!alert.check && alert.generator_url && /^https?:\/\//.test(alert.generator_url) && <><dt>Sender</dt><dd><a href={alert.generator_url} rel="noreferrer noopener" className="wrap-any">{alert.generator_url}</a></dd></>}
              {links.length > 0 && <><dt>Links</dt><dd><ul>{links.map(({ href, text }) => <li key={href}><a href={href} rel="noreferrer noopener" className="wrap-any">{text}</a></li>)}</ul></dd></>}
              <dt>Labels</dt><dd className="mono wrap-any">{Object.entries(alert.labels).map(([name, value]) => `${name}="${String(value)}"`).join(", ")}</dd>
              {alert.expr && <><dt>Rule</dt><dd><Link className="mono wrap-any" to={`/graphs/explore?expr=${encodeURIComponent(alert.expr)}`}>{alert.expr}</Link></dd></>}
            </dl>
          </Section>
          {alert.incident && alert.state !== "resolved" ? <Paging number={alert.incident} /> : null}
          <Before alert={alert} />
          <Decisions alert={alert} />
          {alert.state !== "resolved" && <WhyNot labels={ownMatchers(alert)} />}
          <History alert={alert} />
        </div>
      </div>
    </>
  );
}

export default function AlertPage({ params }: PageProps): ReactElement {
  const fingerprint = params.fingerprint ?? "";
  const query = useQuery(`alert:${fingerprint}`, () => alerts.one(fingerprint), { touches: ["alert.", "mute.", "incident.", "deploy."], everyMs: 10_000 });
  const alert = query.data;
  const [look, word] = alert ? alertLook(alert) : (["unknown", ""] as const);
  const [muting, setMuting] = useState(false);
  const why = useLacks("responder");
  return (
    <PageFrame title={alert?.summary || alert?.rule || "Alert"} sub={alert && <Status look={look}>{word}</Status>} actions={alert && <>{alert.runbook_url && <Runbook url={alert.runbook_url} />}{alert.incident && alert.state !== "resolved" ? <Acknowledge alert={alert} incident={alert.incident} /> : null}<ActionButton why={why} tight onClick={() => setMuting(true)}>Mute…</ActionButton><Link className="button" to={`/alerts/simulate?labels=${encodeURIComponent(ownMatchers(alert))}`}>What if…</Link></>}>
      {alert && muting && <MuteDialog matchers={ownMatchers(alert)} onClose={() => setMuting(false)} />}
      {!alert && query.error?.status === 404 ? (
        <Empty title="This alert is not known any more."><Link className="inline-link" to="/alerts">All alerts</Link></Empty>
      ) : (
        <Loaded query={query}>{(shown) => <Body alert={shown} />}</Loaded>
      )}
    </PageFrame>
  );
}
