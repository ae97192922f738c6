import { useState, type FormEvent, type ReactElement } from "react";
import { incidents, services } from "../../api/endpoints";
import type { Incident } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { incidentLook } from "../../lib/status";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { navigate, useParams } from "../../router/router";
import { useLacks } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Elapsed, Empty, Status, Time } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

/** An incident, or a drill: the same pages, marked, not counted, and scored. */
function OpenIncident({ as, onClose }: { as: "incident" | "drill" | null; onClose: () => void }): ReactElement {
  const [title, setTitle] = useState("");
  const [service, setService] = useState("");
  const [severity, setSeverity] = useState("critical");
  const drill = as === "drill";
  const list = useQuery("services", services.list, { touches: ["service."] });
  const { busy, run } = useAction("incident.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const made = await run(() => incidents.open({ title, severity, drill, ...(service ? { service } : {}) }), (incident) => `${drill ? "Drill" : "Incident"} ${incident.number} is open.`);
    if (made) navigate(`/incidents/${made.number}`);
  };
  return (
    <Dialog open={as !== null} onClose={onClose} title={drill ? "Begin a drill" : "Open an incident"}>
      {drill && <p className="small muted">People are paged as in earnest; every message says DRILL. It counts in no figure, and its page says how it went.</p>}
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="What people see" hint={drill ? "What has happened, in the drill." : "The symptom, not the cause."}><input required maxLength={200} value={title} onChange={(event) => setTitle(event.target.value)} /></Field>
        <Field label="Service">
          <select value={service} onChange={(event) => setService(event.target.value)}>
            <option value="">not known yet</option>
            {list.data?.items.map(({ name }) => <option key={name}>{name}</option>)}
          </select>
        </Field>
        <Field label="Severity" hint="Critical pages whoever is on call now.">
          <select value={severity} onChange={(event) => setSeverity(event.target.value)}><option>critical</option><option>warning</option></select>
        </Field>
        <div><button type="submit" className="button danger" disabled={busy}>{drill ? "Begin and page" : "Open and page"}</button></div>
      </form>
    </Dialog>
  );
}

function Row({ incident }: { incident: Incident }): ReactElement {
  const [look, word] = incidentLook(incident.state, incident.severity);
  return (
    <tr>
      <td className="fit number"><Link to={`/incidents/${incident.number}`}>{incident.number}</Link></td>
      <td className="fit"><Status look={look}>{word}</Status></td>
      <td><Link className="strong" to={`/incidents/${incident.number}`}>{incident.title}</Link></td>
      <td className="fit">{incident.service ?? "—"}</td>
      <td className="fit"><Time at={incident.opened_at} show="both" /></td>
      <td className="fit number"><Elapsed from={incident.opened_at} to={incident.resolved_at} /></td>
      <td className="fit">{incident.acknowledged_by_name ?? incident.acknowledged_by ?? (incident.escalation?.waiting_for?.length ? `waiting for ${incident.escalation.waiting_for.join(", ")}` : "—")}</td>
    </tr>
  );
}

export default function IncidentsPage(): ReactElement {
  const params = useParams();
  const [opening, setOpening] = useState<"incident" | "drill" | null>(null);
  const state = params.get("state");
  const why = useLacks("responder");
  const query = useQuery(`incidents:${state}`, () => incidents.list(state), { touches: ["incident.", "page."] });
  return (
    <PageFrame title="Incidents" actions={<><ActionButton why={why} tight onClick={() => setOpening("drill")}>Drill</ActionButton><ActionButton look="danger" why={why} tight onClick={() => setOpening("incident")}>Open an incident</ActionButton></>}>
      <div className="chips" role="group" aria-label="State">
        {["", "open", "acknowledged", "resolved"].map((name) => (
          <button key={name} type="button" className="chip" aria-pressed={state === name} onClick={() => params.set({ state: name }, false)}>{name || "all"}</button>
        ))}
      </div>
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={state ? `No incident is ${state}.` : "No incident yet."} command='tenfold incident open "Uploads fail" --service photos'>
              A critical alert opens one by itself; a person can open one too.
            </Empty>
          ) : (
            <TableWrap>
              <table className="stacks">
                <thead><tr><th scope="col" className="number">No.</th><th scope="col">State</th><th scope="col">What</th><th scope="col">Service</th><th scope="col">Opened</th><th scope="col" className="number">Lasted</th><th scope="col">Who has it</th></tr></thead>
                <tbody>{items.map((incident) => <Row key={incident.number} incident={incident} />)}</tbody>
              </table>
            </TableWrap>
          )
        }
      </Loaded>
      <OpenIncident as={opening} onClose={() => setOpening(null)} />
    </PageFrame>
  );
}
