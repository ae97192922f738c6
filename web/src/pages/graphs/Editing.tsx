import { useState, type ReactElement } from "react";
import { graphs } from "../../api/endpoints";
import type { Dashboard, Panel } from "../../api/types";
import type { Range } from "../../charts/range";
import { PanelChart } from "../../charts/PanelChart";
import { useMarkers } from "../../charts/useMarkers";
import { filled, type Values } from "../../charts/variables";
import { useAction } from "../../lib/useAction";
import { navigate } from "../../router/router";
import { ActionButton } from "../../ui/Action";
import { Field } from "../../ui/Field";
import { Clash } from "./Clash";
import { NEW_PANEL, PanelForm } from "./PanelForm";
import { VariableForm } from "./VariableForm";

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

function moved<T>(list: T[], from: number, to: number): T[] {
  const next = [...list];
  const [one] = next.splice(from, 1);
  if (one !== undefined) next.splice(to, 0, one);
  return next;
}

/** A dashboard being changed; nothing is kept before Save. */
export function Editing({ dashboard, gone = false, fresh, range, values, onDone }: Props): ReactElement {
  const [base, setBase] = useState(dashboard);
  const [draft, setDraft] = useState(dashboard);
  const [open, setOpen] = useState<number | null>(null);
  const action = useAction("dashboard.");
  const markers = useMarkers(range, draft.service);
  const panels = draft.panels;
  const put = (next: Panel[]): void => setDraft({ ...draft, panels: next });
  const theirs = gone ? null : dashboard;
  const clash = !fresh && (gone || theirs?.version !== base.version);
  /** Over the version that is given; as a new one where there is none. */
  const save = async (version: number | undefined): Promise<void> => {
    const { generated: _made, note: _looked, version: _version, saved_by: _by, saved_at: _at, ...body } = draft;
    const saved = await action.run(() => (version === undefined ? graphs.create(body) : graphs.put(body, version)), ({ name }) => `The dashboard ${name} is saved.`);
    if (!saved) return;
    onDone();
    navigate(`/graphs/${encodeURIComponent(saved.name)}${location.search}`);
  };
  const remove = async (): Promise<void> => {
    if (!(await action.run(() => graphs.remove(draft.name, base.version ?? undefined), `The dashboard ${draft.name} is deleted.`))) return;
    onDone();
    navigate("/graphs");
  };
  const drop = (): void => {
    if (!theirs) return onDone();
    setBase(theirs);
    setDraft(theirs);
  };
  const wrong = !/^[a-z0-9][a-z0-9._-]*$/.test(draft.name) ? "A name is made of small letters, digits, `-`, `_` and dots." : !draft.title.trim() ? "It has no title." : null;
  const why = clash && !action.busy ? "Somebody saved or deleted it meanwhile: choose what becomes of yours." : wrong;
  return (
    <section className="section stack" aria-label={`Editing ${draft.title || "a new dashboard"}`}>
      <h2 className="sr-only">Editing</h2>
      {clash && !action.busy && <Clash base={base} theirs={theirs} busy={action.busy} onOver={() => void save(theirs?.version ?? undefined)} onDrop={drop} />}
      <div className="form-row">
        {fresh && <Field label="Name"><input value={draft.name} onChange={(event) => setDraft({ ...draft, name: event.target.value })} /></Field>}
        <Field label="Title"><input value={draft.title} onChange={(event) => setDraft({ ...draft, title: event.target.value })} /></Field>
        <button type="button" className="button" onClick={() => setOpen(panels.length)}>Add a panel</button>
        <ActionButton look="primary" busy={action.busy} why={why} onClick={() => void save(base.version ?? undefined)}>Save</ActionButton>
        <button type="button" className="button" onClick={onDone}>Discard</button>
        {!fresh && !base.generated && <ActionButton look="danger" busy={action.busy} why={clash && !action.busy ? "Somebody saved or deleted it meanwhile." : null} tight onClick={() => void remove()}>Delete the dashboard</ActionButton>}
      </div>
      <VariableForm variables={draft.variables ?? []} onChange={(variables) => setDraft({ ...draft, variables })} />
      <div className="grid-3">
        {panels.map((panel, at) => (
          <div key={`${panel.title} ${at}`} className={`editing wide-${panel.width ?? 1}`}>
            <PanelChart panel={filled(panel, values, range)} range={range} markers={markers} sync="editing" />
            <div className="form-row">
              <button type="button" className="button small" aria-label={`Change ${panel.title}`} onClick={() => setOpen(at)}>Change</button>
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
          range={range}
          values={values}
          markers={markers}
          onClose={() => setOpen(null)}
          onSave={(panel) => {
            put(open < panels.length ? panels.map((one, index) => (index === open ? panel : one)) : [...panels, panel]);
            setOpen(null);
          }}
        />
      )}
    </section>
  );
}
