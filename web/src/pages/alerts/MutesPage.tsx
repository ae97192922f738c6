import { useState, type FormEvent, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import type { Mute } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { HOUR_MS } from "../../lib/time";
import { useAction } from "../../lib/useAction";
import { useParams } from "../../router/router";
import { ActionButton } from "../../ui/Action";
import { Empty, Status, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { AlertTabs } from "./AlertTabs";
import { parseMatchers, showMatchers } from "./matchers";
import { TableWrap } from "../../ui/TableWrap";

function CreateMute(): ReactElement {
  const params = useParams();
  const [matchers, setMatchers] = useState(params.get("matchers"));
  const [reason, setReason] = useState("");
  const [hours, setHours] = useState(1);
  const [problem, setProblem] = useState("");
  const { busy, run } = useAction("mute.", "alert.");
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const parsed = parseMatchers(matchers);
    setProblem(parsed ? "" : 'Write matchers such as service="photos", severity="warning".');
    if (!parsed) return;
    const expires_at = new Date(Date.now() + hours * HOUR_MS).toISOString();
    const made = await run(() => alerts.mute(parsed, reason, expires_at), "Muted. The alerts still show here; nobody is paged.");
    if (!made) return;
    setMatchers("");
    setReason("");
  };
  return (
    <Section title="New mute">
      <form className="filters" onSubmit={(event) => void submit(event)}>
        <Field label="Matchers"><input required size={36} placeholder='service="photos"' spellCheck={false} value={matchers} onChange={(event) => setMatchers(event.target.value)} /></Field>
        <Field label="Reason"><input required size={28} maxLength={200} value={reason} onChange={(event) => setReason(event.target.value)} /></Field>
        <Field label="For">
          <select value={hours} onChange={(event) => setHours(Number(event.target.value))}>
            <option value={0.5}>30 min</option><option value={1}>1 h</option><option value={4}>4 h</option><option value={24}>24 h</option>
          </select>
        </Field>
        <button type="submit" className="button primary" disabled={busy}>Mute</button>
      </form>
      {problem && <p className="form-error" role="alert">{problem}</p>}
    </Section>
  );
}

function Row({ mute }: { mute: Mute }): ReactElement {
  const now = useNow(10_000);
  const { busy, run } = useAction("mute.", "alert.");
  const over = Date.parse(mute.expires_at) <= now;
  return (
    <tr>
      <td className="fit"><Status look={over ? "quiet" : "busy"}>{over ? "Over" : "Active"}</Status></td>
      <td className="mono wrap-any">{showMatchers(mute.matchers)}</td>
      <td>{mute.reason}</td>
      <td className="fit">{mute.created_by_name}</td>
      <td className="fit"><Time at={mute.expires_at} show="both" /></td>
      <td className="fit">{!over && <ActionButton small busy={busy} label={`End now: the mute of ${showMatchers(mute.matchers)}`} onClick={() => void run(() => alerts.unmute(mute.id), "The mute is over.")}>End now</ActionButton>}</td>
    </tr>
  );
}

export default function MutesPage(): ReactElement {
  const query = useQuery("mutes", alerts.mutes, { touches: ["mute."], everyMs: 60_000 });
  return (
    <PageFrame title="Mutes">
      <AlertTabs current="mutes" />
      <CreateMute />
      <Section title="Mutes">
        <Loaded query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="Nothing is muted." command={`tenfold mute 'service="photos"' --for 1h --reason "moving racks"`} />
            ) : (
              <TableWrap>
                <table className="stacks">
                  <thead><tr><th scope="col">State</th><th scope="col">Matchers</th><th scope="col">Reason</th><th scope="col">Who</th><th scope="col">Ends</th><th scope="col"><span className="sr-only">Do</span></th></tr></thead>
                  <tbody>{items.map((mute) => <Row key={mute.id} mute={mute} />)}</tbody>
                </table>
              </TableWrap>
            )
          }
        </Loaded>
      </Section>
    </PageFrame>
  );
}
