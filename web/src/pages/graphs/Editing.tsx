import { use, useEffect, useRef, useState, type KeyboardEvent, type ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { Dashboard, Panel } from "../../api/types";
import { lengthOf, movingRange, RANGES, type Range } from "../../charts/range";
import { PanelChart } from "../../charts/PanelChart";
import { useMarkers } from "../../charts/useMarkers";
import { filled, type Values } from "../../charts/variables";
import { absolute } from "../../lib/zone";
import { useAction } from "../../lib/useAction";
import { useAskBeforeLeaving } from "../../lib/useAskBeforeLeaving";
import { navigate } from "../../router/router";
import { SessionContext } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Clash } from "./Clash";
import { forgetEdit, isChanged, keepEdit, leaveEdit, leftEdit, newPlace, takeEdit } from "./draft";
import { LinkForm, MarkForm } from "./MarkForm";
import { moved } from "./order";
import { NEW_PANEL, PanelForm } from "./PanelForm";
import { stillFolded } from "./rows";
import { VariableForm } from "./VariableForm";
import { onlyWritten, wrongName } from "./written";

interface Props {
  /** As it stands now, which another may change meanwhile. */
  dashboard: Dashboard;
  /** Another deleted it meanwhile. */
  gone?: boolean;
  /** Nobody wrote it yet, so that it may still be named. */
  fresh: boolean;
  range: Range;
  values: Values;
  onDone: () => void;
}

const WIDTH_MAX = 3;
/** Among the ranges that move, the one that does not. */
const FIXED = "fixed";
/** And any other that does. */
const OTHER = "other";

/** A range by its name, what is shown now, or nothing of its own. */
function openedWith(chosen: string, { fromMs, toMs }: Range): Pick<Dashboard, "range" | "from" | "to"> {
  if (chosen === FIXED) return { range: null, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
  return { range: chosen || null, from: null, to: null };
}

interface OpensProps {
  draft: Dashboard;
  range: Range;
  /** What is typed as a length, while that is asked for. */
  typed: string | null;
  onType: (typed: string | null) => void;
  onChange: (opened: Pick<Dashboard, "range" | "from" | "to">) => void;
}

/** What the dashboard opens with where the address says nothing. */
function OpensWith({ draft, range, typed, onType, onChange }: OpensProps): ReactElement {
  const opens = draft.from ? FIXED : (draft.range ?? "");
  const names = new Set([...RANGES.map(({ name }) => name), ...[draft.range, range.name].filter((name) => name != null)]);
  const moving = [...names].flatMap((name) => movingRange(name) ?? []).sort((one, other) => one.ms - other.ms);
  const choose = (chosen: string): void => {
    onType(chosen === OTHER ? (draft.range ?? "") : null);
    if (chosen !== OTHER) onChange(openedWith(chosen, range));
  };
  const write = (text: string): void => {
    onType(text);
    const length = lengthOf(text);
    if (length) onChange(openedWith(length, range));
  };
  return (
    <>
      <Field label="Opens with">
        <select value={typed === null ? opens : OTHER} onChange={(event) => choose(event.target.value)}>
          <option value="">as pages do</option>
          {(draft.from || range.name === null) && <option value={FIXED}>{draft.from && draft.to ? `${absolute(draft.from)} to ${absolute(draft.to)}` : `what is shown now: ${range.text}`}</option>}
          {moving.map(({ name, text }) => <option key={name} value={name}>the last {text}</option>)}
          <option value={OTHER}>another length…</option>
        </select>
      </Field>
      {typed !== null && <Field label="The last" hint="like 90m, 3h or now-2d"><input className="short" value={typed} autoFocus aria-invalid={lengthOf(typed) === null || undefined} onChange={(event) => write(event.target.value)} /></Field>}
    </>
  );
}

/** What a key does to a panel: its place moves, or with Shift its width. */
const STEPS: Record<string, -1 | 1> = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

/** A dashboard being changed; before Save it is kept on this browser only. */
export function Editing({ dashboard, gone = false, fresh, range, values, onDone }: Props): ReactElement {
  const [base, setBase] = useState(dashboard);
  const [draft, setDraft] = useState(dashboard);
  const [copied, setCopied] = useState(false);
  // A new one has no version to go over.
  const asNew = fresh || copied;
  const [open, setOpen] = useState<number | null>(null);
  const [formed, setFormed] = useState<Panel | null>(null);
  const action = useAction("dashboard.");
  const markers = useMarkers(range, draft.service);
  const panels = draft.panels;
  const [typed, setTyped] = useState<string | null>(null);
  const login = use(SessionContext)?.person.login ?? "";
  const [left, setLeft] = useState(() => leftEdit(login, dashboard));
  const edit = { base, draft, copied, form: open !== null && formed ? { at: open, panel: formed } : null };
  const unsaved = isChanged(edit, NEW_PANEL);
  useAskBeforeLeaving(unsaved);
  const [place, setPlace] = useState(() => newPlace(login, dashboard.name));
  useEffect(() => {
    if (unsaved) keepEdit(place, edit);
    else forgetEdit(place);
  }, [place, unsaved, base, draft, copied, open, formed]);
  useEffect(() => {
    const leave = (): void => leaveEdit(place);
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      leave();
    };
  }, [place]);
  const openForm = (at: number | null, panel: Panel | null = null): void => {
    setOpen(at);
    setFormed(panel);
  };
  const takeUp = (): void => {
    if (!left) return;
    // What was begun here meanwhile is left in its turn; another tab that goes on keeps its own anew.
    leaveEdit(place);
    const taken = takeEdit(left);
    const next = newPlace(login, dashboard.name);
    setPlace(next);
    setBase(taken.base);
    setDraft(taken.draft);
    setCopied(taken.copied);
    setTyped(null);
    openForm(taken.form?.at ?? null, taken.form?.panel);
    setLeft(leftEdit(login, dashboard, next));
  };
  const dropLeft = (): void => {
    if (left) forgetEdit(left);
    setLeft(leftEdit(login, dashboard, place));
  };
  /** What is saved or discarded is not offered again. */
  const end = (): void => {
    forgetEdit(place);
    onDone();
  };
  const rows = [...new Set(panels.flatMap(({ row }) => (row ? [row] : [])))];
  const put = (next: Panel[]): void => setDraft({ ...draft, panels: next });
  const grid = useRef<HTMLDivElement>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const [over, setOver] = useState<number | null>(null);
  // A panel that moved is another element; who moves it by keys goes on doing so.
  const [held, setHeld] = useState<number | null>(null);
  useEffect(() => {
    if (held === null) return;
    grid.current?.querySelector<HTMLElement>(`[data-handle="${held}"]`)?.focus();
    setHeld(null);
  }, [held]);
  const drop = (at: number): void => {
    if (dragged !== null && dragged !== at) put(moved(panels, dragged, at));
    setDragged(null);
    setOver(null);
  };
  const press = (event: KeyboardEvent, at: number): void => {
    const step = STEPS[event.key];
    const panel = panels[at];
    if (step === undefined || !panel) return;
    event.preventDefault();
    const to = at + step;
    if (event.shiftKey) {
      const width = Math.min(WIDTH_MAX, Math.max(1, (panel.width ?? 1) + step));
      put(panels.map((one, index) => (index === at ? { ...one, width } : one)));
    } else if (to >= 0 && to < panels.length) {
      put(moved(panels, at, to));
      setHeld(to);
    }
  };
  const theirs = gone ? null : dashboard;
  const clash = !asNew && (gone || theirs?.version !== base.version);
  /** Over the version that is given; as a new one where there is none. */
  const save = async (version: number | undefined): Promise<void> => {
    const written = onlyWritten(draft);
    const body = { ...written, ...(written.folded ? { folded: stillFolded(written.folded, panels) } : {}) };
    const saved = await action.run(() => (version === undefined ? graphs.create(body) : graphs.put(body, version)), ({ name }) => `The dashboard ${name} is saved.`);
    if (!saved) return;
    end();
    navigate(`/graphs/${encodeURIComponent(saved.name)}${location.search}`);
  };
  const remove = async (): Promise<void> => {
    if (!(await action.run(() => graphs.remove(draft.name, base.version ?? undefined), `The dashboard ${draft.name} is deleted.`))) return;
    end();
    navigate("/graphs");
  };
  const copy = (): void => {
    setCopied(true);
    // A service's page that draws itself goes on doing so.
    setDraft({ ...draft, name: `${draft.name}-copy`, title: `${draft.title} (copy)`, ...(draft.generated ? { service: null } : {}) });
  };
  const giveUp = (): void => {
    if (!theirs) return end();
    setBase(theirs);
    setDraft(theirs);
    setTyped(null);
  };
  const unread = typed !== null && lengthOf(typed) === null ? "What it opens with is no length: write it like 90m, 3h or 2d." : null;
  const wrong = wrongName(draft.name) ?? (draft.title.trim() ? unread : "It has no title.");
  const why = clash && !action.busy ? "Somebody saved or deleted it meanwhile: choose what becomes of yours." : wrong;
  return (
    <section className="section stack" aria-label={`Editing ${draft.title || "a new dashboard"}`}>
      <h2 className="sr-only">Editing</h2>
      {left && (
        <div className="problem" role="status">
          <Status look="warning">
            {left.open ? (
              <>Another tab has an edit of {left.base.name ? "this dashboard" : "a new dashboard"} that is not saved, or had it when the browser ended. It was changed last <Time at={left.at} />.</>
            ) : (
              <>You left an edit of {left.base.name ? "this dashboard" : "a new dashboard"} <Time at={left.at} />, and did not save it.</>
            )}
          </Status>
          <span className="buttons">
            <button type="button" className="button small" onClick={takeUp}>Take it up again</button>
            <button type="button" className="button small" onClick={dropLeft}>Drop it</button>
          </span>
        </div>
      )}
      {clash && !action.busy && <Clash base={base} theirs={theirs} busy={action.busy} onOver={() => void save(theirs?.version ?? undefined)} onDrop={giveUp} />}
      <div className="form-row">
        {asNew && <Field label="Name"><input value={draft.name} autoFocus={copied} onChange={(event) => setDraft({ ...draft, name: event.target.value })} /></Field>}
        <Field label="Title"><input value={draft.title} onChange={(event) => setDraft({ ...draft, title: event.target.value })} /></Field>
        <OpensWith draft={draft} range={range} typed={typed} onType={setTyped} onChange={(opened) => setDraft({ ...draft, ...opened })} />
        <button type="button" className="button" onClick={() => openForm(panels.length)}>Add a panel</button>
        <ActionButton look="primary" busy={action.busy} why={why} onClick={() => void save(copied ? undefined : (base.version ?? undefined))}>Save</ActionButton>
        <button type="button" className="button" onClick={end}>Discard</button>
        {!asNew && <button type="button" className="button" onClick={copy}>Make a copy</button>}
        {!asNew && !base.generated && <ActionButton look="danger" busy={action.busy} why={clash && !action.busy ? "Somebody saved or deleted it meanwhile." : null} tight onClick={() => void remove()}>Delete the dashboard</ActionButton>}
      </div>
      <VariableForm variables={draft.variables ?? []} values={values} onChange={(variables) => setDraft({ ...draft, variables })} />
      <MarkForm marks={draft.marks ?? []} onChange={(marks) => setDraft({ ...draft, marks })} />
      <LinkForm of="the dashboard" links={draft.links ?? []} onChange={(links) => setDraft({ ...draft, links })} />
      {rows.length > 0 && (
        <div className="form-row">
          {rows.map((row) => (
            <label key={row} className="inline">
              <input type="checkbox" checked={draft.folded?.includes(row) ?? false} onChange={(event) => setDraft({ ...draft, folded: [...(draft.folded ?? []).filter((one) => one !== row), ...(event.target.checked ? [row] : [])] })} /> {row} is folded at first
            </label>
          ))}
        </div>
      )}
      {panels.length > 1 && <p className="muted small">Drag a panel by its handle ⠿, or move it with the arrow keys; Shift and an arrow key change its width.</p>}
      <div className="grid-3" ref={grid}>
        {panels.map((panel, at) => (
          <div
            key={`${panel.title} ${at}`}
            className={`editing wide-${panel.width ?? 1}${over === at && dragged !== null && dragged !== at ? " drop-here" : ""}`}
            onDragOver={(event) => { if (dragged !== null) { event.preventDefault(); setOver(at); } }}
            onDrop={(event) => { event.preventDefault(); drop(at); }}
          >
            {panel.row && <p className="muted small">In the row {panel.row}</p>}
            <PanelChart panel={filled(panel, values, range)} range={range} markers={markers} sync="editing" />
            <div className="form-row">
              <span
                className="handle" role="button" tabIndex={0} draggable data-handle={at} aria-label={`Handle of ${panel.title}`}
                onDragStart={(event) => { event.dataTransfer.effectAllowed = "move"; event.dataTransfer.setData("text/plain", panel.title); setDragged(at); }}
                onDragEnd={() => { setDragged(null); setOver(null); }}
                onKeyDown={(event) => press(event, at)}
              >
                ⠿
              </span>
              <button type="button" className="button small" aria-label={`Change ${panel.title}`} onClick={() => openForm(at)}>Change</button>
              <button type="button" className="button small" aria-label={`Duplicate ${panel.title}`} onClick={() => put(panels.flatMap((one, index) => (index === at ? [one, one] : [one])))}>Duplicate</button>
              <button type="button" className="button small" aria-label={`Move ${panel.title} forward`} aria-disabled={at === 0 || undefined} onClick={() => at > 0 && put(moved(panels, at, at - 1))}>Forward</button>
              <button type="button" className="button small" aria-label={`Move ${panel.title} back`} aria-disabled={at === panels.length - 1 || undefined} onClick={() => at < panels.length - 1 && put(moved(panels, at, at + 1))}>Back</button>
              <button type="button" className="button small" aria-label={`Remove ${panel.title}`} onClick={() => put(panels.filter((_, index) => index !== at))}>Remove</button>
            </div>
          </div>
        ))}
      </div>
      {open !== null && (
        <PanelForm
          panel={panels[open] ?? NEW_PANEL}
          written={formed}
          onWrite={setFormed}
          range={range}
          values={values}
          markers={markers}
          variables={draft.variables ?? []}
          onClose={() => openForm(null)}
          onSave={(panel) => {
            put(open < panels.length ? panels.map((one, index) => (index === open ? panel : one)) : [...panels, panel]);
            openForm(null);
          }}
        />
      )}
    </section>
  );
}
