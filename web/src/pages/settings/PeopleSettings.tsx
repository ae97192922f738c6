import { useState, type FormEvent, type ReactElement } from "react";
import { people } from "../../api/endpoints";
import type { Person, Role } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { zone } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

const ROLES: Role[] = ["viewer", "responder", "deployer", "admin"];
const PASSWORD_MIN = 12;

function Edit({ person, onClose }: { person: Person | null; onClose: () => void }): ReactElement {
  const [login, setLogin] = useState(person?.login ?? "");
  const [name, setName] = useState(person?.name ?? "");
  const [kind, setKind] = useState<Person["kind"]>(person?.kind ?? "developer");
  const [role, setRole] = useState<Role>(person?.role ?? "deployer");
  const [email, setEmail] = useState(person?.contact?.email ?? "");
  const [password, setPassword] = useState("");
  const { busy, run } = useAction("person.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const body = { name, kind, role, contact: { ...person?.contact, email }, timezone: person?.timezone ?? zone, ...(password ? { password } : {}) };
    const saved = await run(() => people.put(login, body), `${login} is saved.`);
    if (saved) onClose();
  };
  return (
    <form className="form" onSubmit={(event) => void submit(event)}>
      <Field label="Login"><input required readOnly={person !== null} pattern="[a-z][a-z0-9_.\-]*" autoCapitalize="none" autoComplete="off" value={login} onChange={(event) => setLogin(event.target.value)} /></Field>
      <Field label="Name"><input required value={name} onChange={(event) => setName(event.target.value)} /></Field>
      <Field label="Works as">
        <select value={kind} onChange={(event) => setKind(event.target.value as Person["kind"])}><option>developer</option><option>operator</option></select>
      </Field>
      <Field label="Role" hint="viewer reads all but secrets; responder answers pages and flips flags; deployer ships; admin does everything">
        <select value={role} onChange={(event) => setRole(event.target.value as Role)}>{ROLES.map((one) => <option key={one}>{one}</option>)}</select>
      </Field>
      <Field label="Mail"><input type="email" value={email} onChange={(event) => setEmail(event.target.value)} /></Field>
      <Field label={person ? "New password" : "Password"} hint={person ? "Empty keeps the old one." : `${PASSWORD_MIN} characters or more.`}>
        <input type="password" required={person === null} minLength={PASSWORD_MIN} autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} />
      </Field>
      <div><button type="submit" className="button primary" disabled={busy}>Save</button></div>
    </form>
  );
}

export function PeopleSettings(): ReactElement {
  const [editing, setEditing] = useState<Person | "new" | null>(null);
  const query = useQuery("people", people.list, { touches: ["person."] });
  return (
    <Section title="People" end={<button type="button" className="button" onClick={() => setEditing("new")}>Add a person</button>}>
      <Loaded query={query}>
        {({ items }) => (
          <TableWrap>
            <table className="stacks">
              <thead><tr><th scope="col">Login</th><th scope="col">Name</th><th scope="col">Works as</th><th scope="col">Role</th><th scope="col">Teams</th><th scope="col">Time zone</th><th scope="col"><span className="sr-only">Do</span></th></tr></thead>
              <tbody>
                {items.map((person) => (
                  <tr key={person.login}>
                    <td className="strong">{person.login}</td><td>{person.name}</td><td>{person.kind}</td><td>{person.role}</td>
                    <td>{(person.teams ?? []).join(", ") || "—"}</td><td>{person.timezone}</td>
                    <td className="fit"><button type="button" className="button small" aria-label={`Change ${person.login}`} onClick={() => setEditing(person)}>Change</button></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableWrap>
        )}
      </Loaded>
      <Dialog open={editing !== null} onClose={() => setEditing(null)} title={editing === "new" ? "Add a person" : `Change ${editing?.login ?? ""}`}>
        {editing !== null && <Edit person={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
      </Dialog>
    </Section>
  );
}
