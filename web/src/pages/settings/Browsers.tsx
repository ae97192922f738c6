import { useEffect, useState, type ReactElement } from "react";
import { browsers } from "../../api/endpoints";
import type { Browser, PushView } from "../../api/types";
import { refresh, useQuery } from "../../api/useQuery";
import { current, idOf, subscribe, whyNot } from "../../lib/push";
import { useAction } from "../../lib/useAction";
import { ActionButton } from "../../ui/Action";
import { Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

/** The id of this browser, null while it has no subscription. */
function useOwn(stamp: unknown): string | null {
  const [own, setOwn] = useState<string | null>(null);
  useEffect(() => {
    let here = true;
    const find = async (): Promise<void> => {
      const subscription = await current();
      const id = subscription ? await idOf(subscription.endpoint) : null;
      if (here) setOwn(id);
    };
    find().catch(() => here && setOwn(null));
    return () => {
      here = false;
    };
  }, [stamp]);
  return own;
}

function Row({ browser, own }: { browser: Browser; own: boolean }): ReactElement {
  const { busy, run } = useAction("person.");
  const remove = async (): Promise<void> => {
    const gone = await run(() => browsers.remove(browser.id), "Pages come there no more.");
    if (!gone) return;
    if (own) await (await current())?.unsubscribe().catch(() => false);
    refresh("browsers");
    refresh("session");
  };
  return (
    <tr>
      <td>{browser.label}{own && <span className="muted"> (this one)</span>}</td>
      <td>{browser.service}</td>
      <td><Time at={browser.added_at} /></td>
      <td className="buttons">
        <ActionButton small busy={busy} label={`Test ${browser.label}`} onClick={() => void run(() => browsers.test(browser.id), "Its push service took a test. It shows within seconds.").then(() => refresh("browsers"))}>Test</ActionButton>
        <ActionButton small busy={busy} label={`Remove ${browser.label}`} onClick={() => void remove()}>Remove</ActionButton>
      </td>
    </tr>
  );
}

function Listed({ view }: { view: PushView }): ReactElement {
  const own = useOwn(view);
  const { busy, run } = useAction("person.");
  const on = view.browsers.some(({ id }) => id === own);
  const turnOn = async (): Promise<void> => {
    const taken = await run(async () => browsers.put(await subscribe(view.key)), "Pages come to this browser. Test it.");
    if (!taken) return;
    refresh("browsers");
    refresh("session");
  };
  return (
    <>
      {view.browsers.length > 0 && (
        <TableWrap>
          <table>
            <thead><tr><th>Browser</th><th>Push service</th><th>Since</th><th><span className="sr-only">Actions</span></th></tr></thead>
            <tbody>{view.browsers.map((browser) => <Row key={browser.id} browser={browser} own={browser.id === own} />)}</tbody>
          </table>
        </TableWrap>
      )}
      <div className="buttons">
        <ActionButton busy={busy} why={on ? "They are on." : whyNot()} onClick={() => void turnOn()}>Turn pages on in this browser</ActionButton>
      </div>
      <p className="muted">Pages come also while tenfold is not open, to every browser here, and can be acknowledged there. The push service carries them sealed.</p>
    </>
  );
}

/** In which browsers pages show up, also while none of ours is open. */
export function BrowserPages(): ReactElement {
  const query = useQuery("browsers", browsers.list, { touches: ["person."] });
  return (
    <Section title="Pages in browsers">
      <Loaded query={query}>{(view) => <Listed view={view} />}</Loaded>
    </Section>
  );
}
