import { useState, type FormEvent, type ReactElement } from "react";
import { flagLife, type FlagGroup } from "../../api/flagLife";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Empty } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { FlagNav } from "./FlagNav";

const MEMBERS_MAX = 1000;

function GroupForm({ group, open, onClose }: { group: FlagGroup | null; open: boolean; onClose: () => void }): ReactElement {
  const [name, setName] = useState(group?.name ?? "");
  const [description, setDescription] = useState(group?.description ?? "");
  const [field, setField] = useState(group?.field ?? "userId");
  const [text, setText] = useState(group?.members.join("\n") ?? "");
  const { busy, run } = useAction("flag_group.");
  const members = [...new Set(text.split(/[\n,]/).map((line) => line.trim()).filter(Boolean))];
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const done = await run(() => flagLife.putGroup(name, { description, field, members }), `${name} has ${members.length} people.`);
    if (done) onClose();
  };
  return (
    <Dialog open={open} onClose={onClose} title={group ? group.name : "New group"}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        {!group && (
          <Field label="Name" hint="Lower-case letters, digits, - _ and .">
            <input required pattern="[a-z0-9][a-z0-9_.\-]*" maxLength={63} autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
          </Field>
        )}
        <Field label="Description">
          <input maxLength={300} value={description} onChange={(event) => setDescription(event.target.value)} />
        </Field>
        <Field label="Field of the context" hint="What clients send to say who somebody is.">
          <input required maxLength={100} value={field} onChange={(event) => setField(event.target.value)} />
        </Field>
        <Field label={`People (${members.length})`} hint={`One a line, at most ${MEMBERS_MAX}. More belong into a property of the context.`}>
          <textarea rows={8} value={text} onChange={(event) => setText(event.target.value)} />
        </Field>
        <div><button type="submit" className="button primary" disabled={busy || members.length > MEMBERS_MAX}>Save</button></div>
      </form>
    </Dialog>
  );
}

function Row({ group, onEdit }: { group: FlagGroup; onEdit: () => void }): ReactElement {
  const { busy, run } = useAction("flag_group.");
  return (
    <tr>
      <td><strong>{group.name}</strong> <span className="muted">{group.description}</span></td>
      <td className="fit num">{group.members.length} {group.members.length === 1 ? "person" : "people"}</td>
      <td className="fit">by <code>{group.field}</code></td>
      <td className="fit num">segment {group.segment}</td>
      <td className="fit">
        <div className="buttons">
          <button type="button" className="button small" aria-label={`Edit ${group.name}`} onClick={onEdit}>Edit</button>
          <ActionButton small busy={busy} label={`Delete ${group.name}`} onClick={() => void run(() => flagLife.deleteGroup(group.name), `${group.name} is deleted.`)}>Delete</ActionButton>
        </div>
      </td>
    </tr>
  );
}

/** Named lists of people. Strategies use them as segments. */
export default function GroupsPage(): ReactElement {
  const query = useQuery("flags:groups", flagLife.groups, { touches: ["flag_group."] });
  const [editing, setEditing] = useState<FlagGroup | "new" | null>(null);
  const form = editing !== null && <GroupForm key={editing === "new" ? "" : editing.name} group={editing === "new" ? null : editing} open onClose={() => setEditing(null)} />;
  return (
    <PageFrame title="Groups of people" actions={<button type="button" className="button primary" onClick={() => setEditing("new")}>New group</button>}>
      <FlagNav />
      <Loaded query={query}>
        {({ items }) => items.length === 0 ? (
          <Empty title="There is no group yet." command="tenfold flag group set testers --add ana">A strategy that names a group’s segment is on for its people.</Empty>
        ) : (
          <TableWrap>
            <table className="stacks">
              <thead><tr><th scope="col">Group</th><th scope="col" className="num">People</th><th scope="col">Field</th><th scope="col" className="num">Segment</th><th scope="col"><span className="sr-only">Actions</span></th></tr></thead>
              <tbody>{items.map((group) => <Row key={group.name} group={group} onEdit={() => setEditing(group)} />)}</tbody>
            </table>
          </TableWrap>
        )}
      </Loaded>
      {form}
    </PageFrame>
  );
}
