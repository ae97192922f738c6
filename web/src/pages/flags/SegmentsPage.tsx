import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { FlagConstraint, FlagSegment } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { useParams } from "../../router/router";
import { ActionButton } from "../../ui/Action";
import { Empty } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { ConstraintEditor } from "./edit/ConstraintEditor";
import { Refused } from "./edit/inputs";
import { constraintWords } from "./edit/operators";
import { FlagNav } from "./FlagNav";
import { ApiError } from "../../api/http";

function Edit({ segment, onClose }: { segment: FlagSegment; onClose: () => void }): ReactElement {
  const [name, setName] = useState(segment.name ?? "");
  const [constraints, setConstraints] = useState<FlagConstraint[]>(segment.constraints ?? []);
  const [refused, setRefused] = useState<string | null>(null);
  const { busy, run } = useAction("flag_segment.");
  const save = async (): Promise<void> => {
    setRefused(null);
    const work = (): Promise<true | null> =>
      flags.putSegment(segment.id, { name, constraints }).then(
        () => true,
        (error: unknown) => {
          if (!(error instanceof ApiError) || error.code !== "invalid") throw error;
          setRefused(error.message);
          return null;
        },
      );
    if (await run(work)) onClose();
  };
  return (
    <div className="stack tight">
      <Field label="Name"><input value={name} maxLength={100} onChange={(event) => setName(event.target.value)} /></Field>
      {constraints.map((one, at) => (
        <ConstraintEditor key={at} value={one} index={at} onChange={(next) => setConstraints(constraints.map((old, i) => (i === at ? next : old)))} onRemove={() => setConstraints(constraints.filter((_, i) => i !== at))} />
      ))}
      <Refused>{refused}</Refused>
      <div className="buttons">
        <button type="button" className="button small" onClick={() => setConstraints([...constraints, { contextName: "", operator: "IN", values: [] }])}>Add a constraint</button>
        <ActionButton look="primary" busy={busy} why={name.trim() ? null : "A segment needs a name."} onClick={() => void save()}>Save</ActionButton>
      </div>
      <p className="muted">All constraints must hold. Every flag that uses the segment follows at once.</p>
    </div>
  );
}

/** Conditions that several flags share, under a name. */
export default function SegmentsPage(): ReactElement {
  const query = useQuery("segments", flags.segments, { touches: ["flag_segment."] });
  const params = useParams();
  const { busy, run } = useAction("flag_segment.");
  const items = query.data?.items ?? [];
  const edited = Number(params.get("edit"));
  const next = Math.max(0, ...items.map(({ id }) => id)) + 1;
  const current = items.find(({ id }) => id === edited) ?? (edited === next ? { id: next, name: "", constraints: [] } : null);
  const open = (id: number | null): void => params.set({ edit: id === null ? null : String(id) }, false);
  return (
    <PageFrame title="Segments" actions={<button type="button" className="button primary" onClick={() => open(next)}>New segment</button>}>
      <FlagNav />
      <Loaded query={query}>
        {() => items.length === 0 ? (
          <Empty title="No segment yet.">A segment is a set of constraints under a name, like “beta testers”, which the strategies of many flags share. Make one with New segment.</Empty>
        ) : (
          <TableWrap>
            <table>
              <thead><tr><th scope="col">Segment</th><th scope="col">Who is in it</th><th scope="col"><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>
                {items.map((segment) => (
                  <tr key={segment.id}>
                    <td className="fit strong">{segment.name}</td>
                    <td className="wrap-any">{(segment.constraints ?? []).map(constraintWords).join("; ") || "everybody"}</td>
                    <td className="fit">
                      <span className="buttons">
                        <button type="button" className="button small" aria-label={`Edit ${segment.name}`} onClick={() => open(segment.id)}>Edit</button>
                        <ActionButton small busy={busy} label={`Delete ${segment.name}`} onClick={() => void run(() => flags.removeSegment(segment.id), `The segment ${segment.name} is deleted.`)}>Delete</ActionButton>
                      </span>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableWrap>
        )}
      </Loaded>
      <Dialog open={current !== null && query.data !== undefined} onClose={() => open(null)} title={current?.name ? `Segment ${current.name}` : "New segment"} wide>
        {current && <Edit key={current.id} segment={current} onClose={() => open(null)} />}
      </Dialog>
    </PageFrame>
  );
}
