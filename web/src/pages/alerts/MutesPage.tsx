import { useState, type ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import type { Mute } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { useAction } from "../../lib/useAction";
import { useParams } from "../../router/router";
import { Link } from "../../router/Link";
import { useLacks } from "../../shell/session";
import { ActionButton } from "../../ui/Action";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { AlertTabs } from "./AlertTabs";
import { showMatchers } from "./matchers";
import { MuteCalendar } from "./MuteCalendar";
import { MuteDialog } from "./MuteDialog";
import { stateOf } from "./mutes";

function Kind({ mute }: { mute: Mute }): ReactElement {
  if (mute.deploy) return <>deploy <Link className="inline-link" to={`/deploys/${mute.deploy}`}>{mute.deploy}</Link></>;
  return <>{mute.kind}{mute.recurs_text && <><br /><span className="small muted mono">{mute.recurs_text}</span></>}</>;
}

function Row({ mute, onEdit }: { mute: Mute; onEdit: () => void }): ReactElement {
  const now = useNow(10_000);
  const { busy, run } = useAction("mute.", "alert.");
  const [look, word] = stateOf(mute, now);
  const over = word === "Over";
  const words = showMatchers(mute.matchers);
  const why = useLacks("responder");
  return (
    <tr>
      <td className="fit"><Status look={look}>{word}</Status></td>
      <td><Kind mute={mute} /></td>
      <td className="mono wrap-any">{words}</td>
      <td>{mute.reason}</td>
      <td className="fit" data-what="by">{mute.created_by_name}</td>
      <td className="fit" data-what={mute.recurs.length > 0 ? "comes back" : "from"}><Time at={mute.recurs.length > 0 && mute.next ? mute.next.from : mute.starts_at} show="both" /></td>
      <td className="fit" data-what="until"><Time at={mute.expires_at} show="both" /></td>
      <td className="fit">
        {!over && (
          <div className="buttons">
            {!mute.deploy && <ActionButton small why={why} tight label={`Edit the mute of ${words}`} onClick={onEdit}>Edit</ActionButton>}
            <ActionButton small busy={busy} why={why} tight label={`End now: the mute of ${words}`} onClick={() => void run(() => alerts.unmute(mute.id), "The mute is over.")}>End now</ActionButton>
          </div>
        )}
      </td>
    </tr>
  );
}

function Table({ items, onEdit }: { items: Mute[]; onEdit: (mute: Mute) => void }): ReactElement {
  return (
    <TableWrap>
      <table className="stacks">
        <thead><tr><th scope="col">State</th><th scope="col">Kind</th><th scope="col">Matchers</th><th scope="col">Reason</th><th scope="col">Who</th><th scope="col">Starts or comes back</th><th scope="col">Ends</th><th scope="col"><span className="sr-only">Do</span></th></tr></thead>
        <tbody>{items.map((mute) => <Row key={mute.id} mute={mute} onEdit={() => onEdit(mute)} />)}</tbody>
      </table>
    </TableWrap>
  );
}

/** Those that are over are in the calendar's past too, so all are asked for; the table shows them when they are wanted. */
export default function MutesPage(): ReactElement {
  const now = useNow(30_000);
  const params = useParams();
  const matchers = params.get("matchers");
  const why = useLacks("responder");
  const withOver = params.get("over") === "1";
  const [open, setOpen] = useState<{ mute?: Mute } | null>(matchers ? {} : null);
  const query = useQuery("mutes:all", () => alerts.mutes(true), { touches: ["mute."], everyMs: 60_000 });
  const close = (): void => {
    setOpen(null);
    params.set({ matchers: null });
  };
  const pick = (mute: Mute): void => {
    if (!why && !mute.deploy && stateOf(mute, now)[1] !== "Over") setOpen({ mute });
  };
  const toggle = <label className="inline"><input type="checkbox" checked={withOver} onChange={(event) => params.set({ over: event.target.checked ? "1" : null })} /> with those that are over</label>;
  return (
    <PageFrame title="Mutes" actions={<ActionButton look="primary" why={why} onClick={() => setOpen({})}>New mute</ActionButton>}>
      <AlertTabs current="mutes" />
      {open && <MuteDialog mute={open.mute} matchers={matchers} onClose={close} />}
      <Loaded query={query}>
        {({ items }) => {
          const shown = withOver ? items : items.filter((mute) => stateOf(mute, now)[1] !== "Over");
          return (
            <>
              <Section title="Mutes" end={toggle}>
                {shown.length === 0 ? (
                  <Empty title="Nothing is muted." command={`tenfold mute 'service="photos"' --for 1h --reason "moving racks"`} />
                ) : (
                  <Table items={shown} onEdit={(mute) => setOpen({ mute })} />
                )}
              </Section>
              <MuteCalendar mutes={items} onPick={pick} />
            </>
          );
        }}
      </Loaded>
    </PageFrame>
  );
}
