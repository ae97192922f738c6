import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { Flag, FlagEnvironment } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import { Empty, Status, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame } from "../../ui/Section";
import { CreateFlag } from "./CreateFlag";
import { exposure } from "./exposure";
import { TableWrap } from "../../ui/TableWrap";

const KINDS = ["release", "experiment", "operational", "kill_switch", "permission"];

function State({ state }: { state: FlagEnvironment | undefined }): ReactElement {
  if (!state) return <span className="muted">—</span>;
  const [look, word] = exposure(state);
  return <Status look={look}>{word}</Status>;
}

function Expiry({ flag }: { flag: Flag }): ReactElement {
  const now = useNow(60_000);
  if (!flag.expires_at) return <span className="muted">—</span>;
  const late = Date.parse(flag.expires_at) < now;
  return late ? <Status look="warning">stale, <Time at={flag.expires_at} /></Status> : <Time at={flag.expires_at} />;
}

export default function FlagsPage(): ReactElement {
  const params = useParams();
  const [creating, setCreating] = useState(false);
  const query = useQuery("flags", flags.list, { touches: ["flag."] });
  const [text, kind, archived] = [params.get("q").toLowerCase(), params.get("kind"), params.get("archived") === "1"];
  const environments = [...new Set(query.data?.items.flatMap(({ environments: of }) => Object.keys(of)) ?? [])].sort();
  const create = <button type="button" className="button primary" onClick={() => setCreating(true)}>New flag</button>;
  return (
    <PageFrame title="Flags" actions={create}>
      <div className="filters">
        <Field label="Search">
          <input type="search" value={params.get("q")} placeholder="key, words, owner" onChange={(event) => params.set({ q: event.target.value })} />
        </Field>
        <Field label="Kind">
          <select value={kind} onChange={(event) => params.set({ kind: event.target.value })}>
            <option value="">all</option>
            {KINDS.map((name) => <option key={name} value={name}>{name.replace("_", " ")}</option>)}
          </select>
        </Field>
        <Field label="Archived">
          <select value={archived ? "1" : ""} onChange={(event) => params.set({ archived: event.target.value })}>
            <option value="">without</option>
            <option value="1">with</option>
          </select>
        </Field>
      </div>
      <Loaded query={query}>
        {({ items }) => {
          const shown = items.filter((flag) =>
            (archived || !flag.archived) && (!kind || flag.kind === kind) && `${flag.key} ${flag.description} ${flag.owner ?? ""}`.toLowerCase().includes(text));
          if (items.length === 0) return <Empty title="No flag yet." command="tenfold flag list">Make one with New flag; code that asks for a missing flag gets “off”.</Empty>;
          if (shown.length === 0) return <Empty title="No flag matches." />;
          return (
            <TableWrap>
              <table className="stacks">
                <thead>
                  <tr>
                    <th scope="col">Flag</th>
                    {environments.map((name) => <th key={name} scope="col">{name}</th>)}
                    <th scope="col">Kind</th><th scope="col">Owner</th><th scope="col">Expires</th>
                  </tr>
                </thead>
                <tbody>
                  {shown.map((flag) => (
                    <tr key={flag.key}>
                      <td><Link className="strong" to={`/flags/${encodeURIComponent(flag.key)}`}>{flag.key}</Link> {flag.archived && <span className="tag">archived</span>} <span className="muted">{flag.description}</span></td>
                      {environments.map((name) => <td key={name} className="fit"><State state={flag.environments[name]} /></td>)}
                      <td className="fit">{flag.kind.replace("_", " ")}</td>
                      <td className="fit">{flag.owner ?? "—"}</td>
                      <td className="fit"><Expiry flag={flag} /></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </TableWrap>
          );
        }}
      </Loaded>
      <CreateFlag open={creating} onClose={() => setCreating(false)} />
    </PageFrame>
  );
}
