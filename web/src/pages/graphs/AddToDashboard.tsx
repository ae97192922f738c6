import { useState, type ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import { ApiError } from "../../api/http";
import type { Dashboard, Panel, PanelKind } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { addressOf } from "../../charts/PanelLinks";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { useLacks } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loaded } from "../../ui/Section";
import { EXEMPLARS, KINDS } from "./kinds";
import { nameAfter, onlyWritten, wrongName } from "./written";

/** Those that say nothing more than Explore asks. */
const OFFERED = KINDS.filter(([kind]) => kind === "graph" || kind === "table" || kind === "heatmap");
const TITLE_MAX = 80;
/** What the server answers to a name that is taken, and to a version that is no longer the newest. */
const TAKEN = 409;
const CHANGED = 412;

/** What is shown, as a panel: only with what its kind can draw. */
export function panelOf({ unit, queries, stacked, log, exemplars }: Panel, title: string, kind: PanelKind): Panel {
  const graph = kind === "graph";
  return {
    title, unit, kind, queries,
    ...(graph && stacked ? { stacked } : {}),
    ...(graph && log ? { log } : {}),
    ...(exemplars && EXEMPLARS.has(kind) ? { exemplars } : {}),
  };
}

const short = (title: string): string => (title.length > TITLE_MAX ? `${title.slice(0, TITLE_MAX - 1)}…` : title);

interface Clash {
  status: number;
  /** The version that is no longer the newest. */
  version: Dashboard["version"];
}

interface FormProps {
  shown: Panel;
  items: Dashboard[];
  reload: () => void;
}

function Form({ shown, items, reload }: FormProps): ReactElement {
  const [to, setTo] = useState("");
  const [named, setNamed] = useState("");
  const [title, setTitle] = useState(() => short(shown.title));
  const [kind, setKind] = useState<PanelKind>(shown.kind ?? "graph");
  const [clash, setClash] = useState<Clash | null>(null);
  const [saved, setSaved] = useState<Dashboard | null>(null);
  const action = useAction("dashboard.");
  // What draws itself would no longer do so.
  const written = items.filter(({ generated }) => !generated);
  const target = to === "" ? undefined : written.find(({ name }) => name === to);
  const name = nameAfter(named);
  const there = to === "" ? items.find((one) => one.name === name) : undefined;
  const gone = to !== "" && !target;
  const why =
    title.trim() === "" ? "A panel has a title."
    : gone ? "It was deleted: choose another."
    : target ? null
    : named.trim() === "" ? "A dashboard has a title."
    : there ? `${there.title} is named ${name}: choose ${there.generated ? "another title" : "it, or another title"}.`
    : wrongName(name);

  const save = async (): Promise<void> => {
    const panel = panelOf(shown, title.trim(), kind);
    setClash(null);
    const done = await action.run(async () => {
      try {
        if (!target) return await graphs.create({ name, title: named.trim(), panels: [panel] });
        return await graphs.put({ ...onlyWritten(target), panels: [...target.panels, panel] }, target.version ?? undefined);
      } catch (error) {
        const status = error instanceof ApiError ? error.status : 0;
        if (status !== TAKEN && status !== CHANGED) throw error;
        setClash({ status, version: target?.version });
        reload();
        return null;
      }
    });
    if (done) setSaved(done);
  };

  if (saved) {
    const link = { title: saved.title, to: `/graphs/${encodeURIComponent(saved.name)}`, keeps_range: true };
    return <p role="status">The panel <strong>{title.trim()}</strong> is the last one of <Link className="inline-link" to={addressOf(link, location.search)}>{saved.title}</Link>.</p>;
  }
  return (
    <div className="stack">
      {clash && (
        <div className="problem" role="alert">
          {clash.status === TAKEN ? (
            <><Status look="warning">Somebody made a dashboard of this name meanwhile.</Status><span>Choose it below, or another title.</span></>
          ) : gone ? (
            <><Status look="warning">Somebody deleted this dashboard meanwhile.</Status><span>Choose another, or make a new one.</span></>
          ) : (
            <>
              <Status look="warning">{target?.version === clash.version ? "Somebody saved this dashboard meanwhile." : <>{target?.saved_by ?? "Somebody"} saved this dashboard <Time at={target?.saved_at} />.</>}</Status>
              <span>Nothing is added yet. Add it again: the panel goes behind what they saved.</span>
            </>
          )}
        </div>
      )}
      <Field label="Dashboard">
        <select value={to} onChange={(event) => { setTo(event.target.value); setClash(null); }}>
          <option value="">a new one</option>
          {gone && <option value={to}>{to} (deleted)</option>}
          {written.map((one) => <option key={one.name} value={one.name}>{one.title}</option>)}
        </select>
      </Field>
      {to === "" && <Field label="Title of the dashboard" hint={name ? `its name is ${name}` : "its name is made of it"}><input value={named} onChange={(event) => setNamed(event.target.value)} /></Field>}
      <Field label="Title of the panel"><input value={title} onChange={(event) => setTitle(event.target.value)} /></Field>
      <Field label="Drawn as">
        <select value={kind} onChange={(event) => setKind(event.target.value as PanelKind)}>
          {OFFERED.map(([one, words]) => <option key={one} value={one}>{words}</option>)}
        </select>
      </Field>
      <ActionButton look="primary" busy={action.busy} why={why} onClick={() => void save()}>Add</ActionButton>
    </div>
  );
}

function Choosing({ shown }: { shown: Panel }): ReactElement {
  const query = useQuery("dashboards", graphs.dashboards, { touches: ["dashboard.", "service."] });
  return <Loaded query={query}>{({ items }) => <Form shown={shown} items={items} reload={query.reload} />}</Loaded>;
}

/** A button that puts what is shown on a dashboard, as its last panel. */
export function AddToDashboard({ shown }: { shown: Panel }): ReactElement {
  const [open, setOpen] = useState(false);
  const why = useLacks("deployer");
  return (
    <>
      <ActionButton small why={why} tight onClick={() => setOpen(true)}>Add to a dashboard</ActionButton>
      <Dialog open={open} onClose={() => setOpen(false)} title="Add to a dashboard">
        {open && <Choosing shown={shown} />}
      </Dialog>
    </>
  );
}
