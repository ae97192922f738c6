import { use, useMemo, useRef, useState, type ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { Dashboard, DashboardMark, Variable } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { saveAs } from "../../charts/csv";
import { MarkerKey } from "../../charts/MarkerKey";
import { DashboardLinkView } from "../../charts/PanelLinks";
import { useQueryMarks } from "../../charts/queryMarks";
import { RangePicker } from "../../charts/RangePicker";
import { linkOf, useRange, type Range } from "../../charts/range";
import { asksInterval, asksRate, useScraped } from "../../charts/scraped";
import { useMarkers } from "../../charts/useMarkers";
import { filledLinks, useChoices, useOffered, withOffered } from "../../charts/variables";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import type { PageProps } from "../../shell/routes";
import { SessionContext, useLacks } from "../../shell/session";
import { zone } from "../../lib/zone";
import { ActionButton } from "../../ui/Action";
import { Copy, Empty, Time } from "../../ui/basics";
import { Loaded, PageFrame } from "../../ui/Section";
import { DashboardTabs } from "./DashboardTabs";
import { leftEdit } from "./draft";
import { Editing } from "./Editing";
import { ImportDialog } from "./ImportDialog";
import { MarkSwitches, useShownMarks } from "./MarkSwitches";
import { PanelRows } from "./PanelRows";
import { FirstTargets } from "./Targets";
import { Variables } from "./Variables";
import { fileName, fileOf } from "./written";

const NO_VARIABLES: Variable[] = [];
const NO_MARKS: DashboardMark[] = [];
const NEW: Dashboard = { name: "", title: "", panels: [] };

function Panels({ dashboard, gone, range }: { dashboard: Dashboard; gone: boolean; range: Range }): ReactElement {
  const recorded = useMarkers(range, dashboard.service);
  const variables = dashboard.variables ?? NO_VARIABLES;
  const [chosen, choose] = useChoices(variables);
  const [offered, offer] = useOffered();
  const values = useMemo(() => withOffered(chosen, variables, offered), [chosen, variables, offered]);
  const marks = dashboard.marks ?? NO_MARKS;
  const [shown, show] = useShownMarks(marks);
  const queried = useQueryMarks(shown, values, range);
  const markers = useMemo(() => (queried.markers.length > 0 ? [...recorded, ...queried.markers] : recorded), [recorded, queried.markers]);
  const params = useParams();
  const why = useLacks("deployer");
  const login = use(SessionContext)?.person.login ?? "";
  const edits = params.get("edit") === "1";
  const left = useMemo(() => (edits || why ? null : leftEdit(login, dashboard)), [edits, why, login, dashboard]);
  if (edits) {
    return <Editing dashboard={dashboard} gone={gone} fresh={false} range={range} values={values} onDone={() => params.set({ edit: null })} />;
  }
  return (
    <section className="section" aria-label={`Graphs of ${dashboard.title}`}>
      <h2 className="sr-only">{dashboard.title}</h2>
      {left && <p className="muted">{left.open ? "Another tab has an edit of it that is not saved, or had it when the browser ended, changed last" : "You left an edit of it that is not saved"} <Time at={left.at} />: <button type="button" className="button small" onClick={() => params.set({ edit: "1" }, false)}>go to it</button></p>}
      {dashboard.note && <p className="muted">{dashboard.note}</p>}
      <div className="form-row">
        <Variables variables={variables} values={values} range={range} choose={choose} offer={offer} />
        <MarkSwitches marks={marks} shown={shown} onChange={show} />
        <span className="end form-row">
          {filledLinks(dashboard.links, values).map((link, at) => <DashboardLinkView key={at} link={link} />)}
          <Copy text={linkOf(range)} label="Copy link to this moment" />
          <button type="button" className="button small" title={`${fileName(dashboard)}: in a folder named dashboards, tenfold apply takes it`} onClick={() => saveAs(new Blob([fileOf(dashboard)], { type: "application/yaml" }), fileName(dashboard))}>Save as a file</button>
          <ActionButton small why={why} tight onClick={() => params.set({ edit: "1" }, false)}>Edit</ActionButton>
        </span>
      </div>
      {queried.notes.map((note) => <p key={note} className="form-error small">{note}</p>)}
      <PanelRows dashboard={dashboard} variables={variables} values={values} range={range} markers={markers} />
      <div className="section-head">
        <MarkerKey marks={marks.length > 0} />
        <span className="end muted small">Drag over a graph to look closer. Times are in {zone()}.</span>
      </div>
    </section>
  );
}

/** The dashboards; each is a tab with its own address. */
export default function GraphsPage({ params }: PageProps): ReactElement {
  const query = useQuery("dashboards", graphs.dashboards, { touches: ["dashboard.", "service."] });
  const opened = params.name ? query.data?.items.find(({ name }) => name === params.name) : query.data?.items[0];
  const ends = opened?.from && opened.to ? { from: Date.parse(opened.from), to: Date.parse(opened.to) } : undefined;
  const edited = useParams().get("edit") === "1";
  const shown = useRef<Dashboard>(undefined);
  const why = useLacks("deployer");
  const [made, setMade] = useState<"import" | "new" | null>(null);
  const rated = useMemo(() => asksRate(opened) || asksInterval(opened), [opened]);
  // Whoever edits may write it.
  const range = useScraped(useRange(opened?.range ?? undefined, ends), rated || edited || made === "new");
  const actions = (
    <>
      <ActionButton small why={why} tight onClick={() => setMade("new")}>New dashboard</ActionButton>
      <ActionButton small why={why} tight onClick={() => setMade("import")}>Import</ActionButton>
      <RangePicker range={range} />
    </>
  );
  return (
    <PageFrame title="Graphs" actions={actions}>
      {made === "import" && <ImportDialog onClose={() => setMade(null)} />}
      {made === "new" && <Editing dashboard={NEW} fresh range={range} values={{}} onDone={() => setMade(null)} />}
      <Loaded query={query}>
        {({ items }) => {
          // An edit outlives its dashboard, which somebody else may delete.
          const wanted = params.name ?? (edited ? shown.current?.name : undefined);
          const found = wanted ? items.find(({ name }) => name === wanted) : items[0];
          const gone = !found && edited && shown.current?.name === wanted;
          const chosen = gone ? shown.current : found;
          shown.current = chosen;
          return (
            <>
              <DashboardTabs items={items} current={chosen?.name ?? ""} />
              {chosen ? (
                <Panels key={chosen.name} dashboard={chosen} gone={gone} range={range} />
              ) : params.name ? (
                <Empty title={`No dashboard is named ${params.name}.`}><Link className="inline-link" to="/graphs">The first one</Link></Empty>
              ) : (
                <Empty title="No dashboard yet." command="tenfold apply demo/config">A service with a target to scrape gets its dashboard by itself.</Empty>
              )}
            </>
          );
        }}
      </Loaded>
      <FirstTargets />
    </PageFrame>
  );
}
