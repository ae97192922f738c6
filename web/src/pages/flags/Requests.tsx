import { useState, type ReactElement } from "react";
import { flags } from "../../api/endpoints";
import type { FlagRequest } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import type { Look } from "../../lib/status";
import { useAction } from "../../lib/useAction";
import { Link } from "../../router/Link";
import { useSession } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Status, Time } from "../../ui/basics";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";
import { differences } from "./changes/differences";
import { Changes } from "./edit/SaveBar";

const LOOKS: Record<string, Look> = { pending: "busy", approved: "ok", rejected: "warning", withdrawn: "quiet", expired: "quiet", forced: "critical" };

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

function Force({ request, onClose }: { request: FlagRequest; onClose: () => void }): ReactElement {
  const [reason, setReason] = useState("");
  const { busy, run } = useAction("flag.");
  const force = async (): Promise<void> => {
    const done = await run(() => flags.decide(request.number, "force", reason), `Change request ${request.number} is applied, and everybody is told.`);
    if (done) onClose();
  };
  return (
    <Dialog open onClose={onClose} title="Apply it without a second person?">
      <p>It is recorded as critical, and everybody is told, with your reason.</p>
      <Field label="Reason"><input value={reason} maxLength={1000} onChange={(event) => setReason(event.target.value)} /></Field>
      <ActionButton look="danger" busy={busy} why={reason.trim() ? null : "Say why it cannot wait."} onClick={() => void force()}>Break the glass</ActionButton>
    </Dialog>
  );
}

/** One change request with what may be done about it. */
export function RequestItem({ request, named }: { request: FlagRequest; named?: boolean }): ReactElement {
  const { person } = useSession();
  const [forcing, setForcing] = useState(false);
  const { busy, run } = useAction("flag.");
  const changes = differences(request.before, request.after, request.environment);
  const own = person.login === request.author;
  const decide = (how: "approve" | "reject" | "withdraw", done: string): void => void run(() => flags.decide(request.number, how, ""), done);
  return (
    <li className="stack tight">
      <div className="buttons">
        <Status look={LOOKS[request.state] ?? "unknown"}>{request.state === "pending" ? "Waits for a second person" : capital(request.state)}</Status>
        <span className="muted">request {request.number}</span>
        {request.decided_by && <span className="muted">{request.decided_by}{request.reason && `: ${request.reason}`}</span>}
      </div>
      <p>{request.author} wants to {request.text}{request.at && <> <Time at={request.at} show="both" /></>}{named && <> · <Link className="inline-link" to={`/flags/${encodeURIComponent(request.flag)}?environment=${encodeURIComponent(request.environment)}`}>the flag</Link></>}</p>
      {changes.length > 0 && <Changes changes={changes} label="What would change" />}
      {request.state === "pending" && (
        <>
          {request.outdated && <p><Status look="warning">Outdated</Status> <span className="muted">The flag was changed since, so this cannot be applied any more.</span></p>}
          <div className="buttons">
            <ActionButton small look="primary" busy={busy} why={own ? "Somebody else approves your change." : request.outdated ? "A new request is needed." : null} onClick={() => decide("approve", `Change request ${request.number} is applied.`)}>Approve</ActionButton>
            {own
              ? <ActionButton small busy={busy} onClick={() => decide("withdraw", `Change request ${request.number} is withdrawn.`)}>Withdraw</ActionButton>
              : <ActionButton small busy={busy} onClick={() => decide("reject", `Change request ${request.number} is rejected.`)}>Reject</ActionButton>}
            {person.role === "admin" && !request.outdated && <ActionButton small look="danger" onClick={() => setForcing(true)}>Break the glass</ActionButton>}
          </div>
          <span className="muted">asked <Time at={request.created_at} />, expires <Time at={request.expires_at} /></span>
        </>
      )}
      {forcing && <Force request={request} onClose={() => setForcing(false)} />}
    </li>
  );
}

/** Changes of a flag that wait for a second person; nothing where there are none. */
export function Requests({ flag }: { flag: string }): ReactElement | null {
  const query = useQuery(`requests:${flag}`, () => flags.requests({ flag, state: "pending" }), { touches: ["flag."] });
  const items = query.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <Section title="Change requests">
      <div className="panel pad"><ul className="stack">{items.map((request) => <RequestItem key={request.number} request={request} />)}</ul></div>
    </Section>
  );
}
