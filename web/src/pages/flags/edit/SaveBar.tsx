import { useMemo, type ReactElement } from "react";
import { flags } from "../../../api/endpoints";
import type { Flag } from "../../../api/types";
import { useQuery } from "../../../api/useQuery";
import { plural } from "../../../lib/units";
import { ActionButton } from "../../../ui/Action";
import { Status, Time } from "../../../ui/basics";
import { Words } from "../../../ui/Words";
import { draftOf } from "./draft";
import { SaveLater } from "./SaveLater";
import type { Editing } from "./useDraft";
import { definitionLines, diffLines, type Change } from "./words";

export function Changes({ changes, label }: { changes: Change[]; label: string }): ReactElement {
  return (
    <ul className="changes" aria-label={label}>
      {changes.map(({ sign, text }, index) => (
        <li key={index} className={sign === "+" ? "added" : "removed"}><span aria-hidden="true">{sign}</span> <span className="sr-only">{sign === "+" ? "new: " : "gone: "}</span>{text}</li>
      ))}
    </ul>
  );
}

/** What saving will change, in words, before it does; and whoever came in between. */
export function SaveBar({ flag, editing, refused }: { flag: Flag; editing: Editing; refused: string | null }): ReactElement | null {
  const segments = useQuery("segments", flags.segments, { touches: ["flag_segment."] }).data?.items;
  const names = useMemo(() => new Map((segments ?? []).map(({ id, name }) => [id, name ?? String(id)])), [segments]);
  const { base, draft, update, conflict } = editing;
  const changes = useMemo(() => diffLines(definitionLines(base, names), definitionLines(draft, names)), [base, draft, names]);
  const theirs = useMemo(() => (conflict ? diffLines(definitionLines(base, names), definitionLines(draftOf(flag), names)) : []), [conflict, base, flag, names]);
  if (!update) return null;
  const why = conflict ? "Somebody changed the flag meanwhile; put your edit on top of it first." : refused ? "The server would refuse it; the reason stands at the field." : null;
  return (
    <section className="savebar" aria-label="Unsaved changes">
      {conflict && (
        <div className="problem" role="alert">
          <Status look="warning">{flag.updated_by || "Somebody"} changed this flag <Time at={flag.updated_at} />, while you were editing.</Status>
          <Changes changes={theirs} label="What they changed" />
          <span className="buttons">
            <button type="button" className="button small" onClick={editing.takeUp}>Put mine on top</button>
            <button type="button" className="button small" onClick={editing.discard}>Drop mine</button>
          </span>
        </div>
      )}
      <div className="section-head">
        <h2>{editing.restored ? "Your unsaved edit is back" : "Not saved yet"}</h2>
        <span className="muted">{plural(changes.length, "line")}</span>
        <span className="end buttons">
          <ActionButton look="primary" busy={editing.busy} why={why} onClick={() => void editing.save()}>Save</ActionButton>
          <button type="button" className="button" onClick={editing.discard}>Drop the edit</button>
        </span>
      </div>
      {refused && <p className="form-error"><Words>{refused}</Words></p>}
      <Changes changes={changes} label="What will change" />
      <SaveLater flag={flag.key} version={editing.version} update={update} why={why} onDone={editing.discard} />
    </section>
  );
}
