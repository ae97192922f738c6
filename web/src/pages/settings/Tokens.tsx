import { useState, type FormEvent, type ReactElement } from "react";
import { tokens } from "../../api/endpoints";
import type { Role, Token, TokenCreated } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Copy, Empty, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

const KINDS: Record<Token["kind"], string> = {
  robot: "robot: the API as a program",
  agent: "agent: a host that takes releases",
  client: "client: reads flags on a server",
  frontend: "frontend: reads flags in a browser",
  metrics: "metrics: sends samples in",
};

function Create(): ReactElement {
  const [name, setName] = useState("");
  const [kind, setKind] = useState<Token["kind"]>("robot");
  const [role, setRole] = useState<Role>("viewer");
  const [environment, setEnvironment] = useState("production");
  const [projects, setProjects] = useState("");
  const [made, setMade] = useState<TokenCreated | null>(null);
  const { busy, run } = useAction("token.");
  const readsFlags = kind === "client" || kind === "frontend";
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const named = projects.split(",").map((project) => project.trim()).filter(Boolean);
    const limits = kind === "robot" ? { role } : readsFlags && named.length > 0 ? { projects: named } : {};
    const token = await run(() => tokens.create({ name, kind, environment: (kind !== "metrics" && environment) || null, ...limits }));
    if (!token) return;
    setMade(token);
    setName("");
  };
  return (
    <Section title="New token">
      <form className="filters" onSubmit={(event) => void submit(event)}>
        <Field label="Name"><input required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} /></Field>
        <Field label="Kind"><select value={kind} onChange={(event) => setKind(event.target.value as Token["kind"])}>{Object.entries(KINDS).map(([value, text]) => <option key={value} value={value}>{text}</option>)}</select></Field>
        {kind === "robot" && <Field label="Role"><select value={role} onChange={(event) => setRole(event.target.value as Role)}><option>viewer</option><option>responder</option><option>deployer</option><option>admin</option></select></Field>}
        {kind !== "metrics" && <Field label="Environment"><input value={environment} onChange={(event) => setEnvironment(event.target.value)} /></Field>}
        {readsFlags && <Field label="Projects"><input placeholder="all" title="Names with commas between them; none for all" value={projects} onChange={(event) => setProjects(event.target.value)} /></Field>}
        <button type="submit" className="button primary" disabled={busy}>Make the token</button>
      </form>
      {made?.secret && (
        <div className="empty" role="status">
          <p className="title">The secret of {made.name}. It is shown once.</p>
          <span className="command"><code>{made.secret}</code><Copy text={made.secret} /></span>
        </div>
      )}
    </Section>
  );
}

function Revoke({ token }: { token: Token }): ReactElement {
  const { busy, run } = useAction("token.");
  return <ActionButton small look="danger" busy={busy} label={`Revoke ${token.name}`} onClick={() => void run(() => tokens.revoke(token.id ?? ""), `${token.name} is revoked.`)}>Revoke</ActionButton>;
}

export function Tokens(): ReactElement {
  const query = useQuery("tokens", tokens.list, { touches: ["token."] });
  return (
    <>
      <Create />
      <Section title="Tokens">
        <Loaded query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No token yet." />
            ) : (
              <TableWrap>
                <table className="stacks">
                  <thead><tr><th scope="col">Name</th><th scope="col">Kind</th><th scope="col">May</th><th scope="col">Where</th><th scope="col">Made</th><th scope="col">Last used</th><th scope="col"><span className="sr-only">Do</span></th></tr></thead>
                  <tbody>
                    {items.map((token) => (
                      <tr key={token.id}>
                        <td className="strong">{token.name}</td><td>{token.kind}</td><td>{token.role ?? "—"}</td>
                        <td>{[token.service ?? token.projects?.join(", "), token.environment].filter(Boolean).join(" in ") || "everywhere"}</td>
                        <td><Time at={token.created_at} /></td><td><Time at={token.last_used_at} /></td>
                        <td className="fit"><Revoke token={token} /></td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </TableWrap>
            )
          }
        </Loaded>
      </Section>
    </>
  );
}
