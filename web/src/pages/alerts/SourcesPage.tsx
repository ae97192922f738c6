import type { ReactElement } from "react";
import { alertSources } from "../../api/endpoints";
import type { AlertSource } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { Empty, Status, Time } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";
import { AlertTabs } from "./AlertTabs";
import { sourceLook } from "./sourceLook";

function Row({ source }: { source: AlertSource }): ReactElement {
  const [look, word] = sourceLook(source);
  return (
    <tr>
      <td className="fit"><Status look={look}>{word}</Status></td>
      <td className="strong">{source.name}{source.findings?.map((finding) => <div key={finding} className="small muted">{finding}</div>)}</td>
      <td className="fit">{source.spec.kind}</td>
      <td className="fit">{[source.spec.service, source.spec.environment].filter(Boolean).join(", ") || "—"}</td>
      <td className="wrap-any">{source.address}</td>
      <td className="fit" data-what="last">{source.last_at ? <Time at={source.last_at} /> : "—"}</td>
      <td className="fit" data-what="due">{source.heartbeat?.due_at ? <Time at={source.heartbeat.due_at} /> : "—"}</td>
      <td className="fit" data-what="taken">{source.heartbeat?.beats ?? source.taken}</td>
      <td className="wrap-any" data-what="refused">{source.refused > 0 ? `${source.refused}, the last because ${source.refusal}` : "0"}</td>
    </tr>
  );
}

/** Who else sends alerts here, and whether what they send is taken. */
export default function SourcesPage(): ReactElement {
  const query = useQuery("alert-sources", alertSources.list, { touches: ["alert_source.", "alert."], everyMs: 15_000 });
  return (
    <PageFrame title="Sources">
      <AlertTabs current="sources" />
      <Loaded query={query}>
        {({ items }) => (items.length === 0
          ? <Empty title="Nobody else sends alerts here yet." command="tenfold sources put grafana grafana.yaml">A source is a signed webhook, a Grafana, an address for mails or a heartbeat, with a secret of its own.</Empty>
          : (
            <Section title="Sources of alerts">
              <TableWrap>
                <table className="stacks">
                  <thead><tr><th scope="col">State</th><th scope="col">Source</th><th scope="col">Kind</th><th scope="col">About</th><th scope="col">Sends to</th><th scope="col">Last</th><th scope="col">Due</th><th scope="col">Taken</th><th scope="col">Refused</th></tr></thead>
                  <tbody>{items.map((source) => <Row key={source.name} source={source} />)}</tbody>
                </table>
              </TableWrap>
              <p className="muted">Counted since the start of the server; beats of heartbeats since their first.</p>
            </Section>
          ))}
      </Loaded>
    </PageFrame>
  );
}
