import type { ReactElement } from "react";
import { services } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { Fleet } from "../now/Fleet";
import { Targets } from "../graphs/Targets";
import { Empty } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";

/** Where releases go, and where numbers come from. */
export function TargetSettings(): ReactElement {
  const query = useQuery("hosts", services.hosts, { touches: ["host.", "deploy."], everyMs: 30_000 });
  return (
    <>
      <Section title="Hosts">
        <Loaded query={query}>
          {({ items }) => (items.length === 0 ? <Empty title="No host is connected yet." command="tenfold agent --server http://127.0.0.1:7070 --token TOKEN">Make an agent token first.</Empty> : <Fleet hosts={items} />)}
        </Loaded>
      </Section>
      <Targets />
    </>
  );
}
