import { useState, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import type { RefusedRequest } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { plural } from "../../lib/units";
import { useAction } from "../../lib/useAction";
import { useLacks } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Time } from "../../ui/basics";
import { Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

function Row({ request }: { request: RefusedRequest }): ReactElement {
  const names = [...new Set(request.alerts.filter(Boolean))];
  const all = request.total > names.length ? plural(request.total, "alert") : "";
  return (
    <tr>
      <td className="fit" data-what="came"><Time at={request.at} show="both" /></td>
      <td className="wrap-any">{[names.join(", "), all].filter(Boolean).join(": ") || "—"}</td>
      <td className="wrap-any" data-what="why">{request.why}</td>
      <td className="fit" data-what="tries">{request.tries}</td>
      <td className="fit" data-what="given up"><Time at={request.refused_at} /></td>
    </tr>
  );
}

function Found({ items, total }: { items: RefusedRequest[]; total: number }): ReactElement {
  const [asked, setAsked] = useState(false);
  const { busy, run } = useAction("alert.refused");
  const why = useLacks("deployer", true);
  const again = (): Promise<unknown> => run(alerts.refusedAgain, ({ requests, over }) => {
    const without = over > 0 ? ` Left out: ${plural(over, "alert")} over by now.` : "";
    return `${plural(requests, "request")} will be tried again, each as of when it came.${without}`;
  });
  const forget = async (): Promise<void> => {
    // What is given up meanwhile nobody has read.
    const until = items.map((request) => request.refused_at).sort().at(-1) ?? "";
    await run(() => alerts.refusedForget(until), ({ requests }) => `${plural(requests, "request")} forgotten.`);
    setAsked(false);
  };
  return (
    <Section
      title="Requests of alerts that could not be taken"
      end={(
        <div className="buttons">
          {asked ? (
            <>
              <ActionButton look="danger" busy={busy} why={why} onClick={() => void forget()}>Forget for good</ActionButton>
              <button type="button" className="button" onClick={() => setAsked(false)}>Keep them</button>
            </>
          ) : (
            <>
              <ActionButton busy={busy} why={why} onClick={() => void again()}>Try all again</ActionButton>
              <button type="button" className="button" onClick={() => setAsked(true)}>Forget them…</button>
            </>
          )}
        </div>
      )}
    >
      <TableWrap>
        <table className="stacks">
          <thead><tr><th scope="col">Came</th><th scope="col">Alerts</th><th scope="col">Why not</th><th scope="col">Tries</th><th scope="col">Given up</th></tr></thead>
          <tbody>{items.map((request) => <Row key={request.id} request={request} />)}</tbody>
        </table>
      </TableWrap>
      <p className="muted">
        Their senders were told that they are taken.
        {total > items.length && ` The newest ${items.length} of ${total} requests are listed; what is done here is done to all of them.`}
      </p>
    </Section>
  );
}

/** What was sent of alerts to another node and could not be taken, until a person decides; nothing where all was taken. */
export function RefusedRequests(): ReactElement | null {
  const query = useQuery("alerts:refused", alerts.refused, { touches: ["alert.refused"], everyMs: 60_000 });
  if (!query.data || query.data.items.length === 0) return null;
  return <Found items={query.data.items} total={query.data.total} />;
}
