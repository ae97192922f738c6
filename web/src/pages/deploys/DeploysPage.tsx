import type { ReactElement } from "react";
import { services } from "../../api/endpoints";
import type { Service } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useParams } from "../../router/router";
import { Empty } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { DeployLog } from "./log/DeployLog";
import { ServiceCard } from "./ServiceCard";

/** The cards follow the log's service and environment: what is asked about stands above what was. */
function Cards({ items }: { items: Service[] }): ReactElement {
  const params = useParams();
  const [name, place] = [params.get("service"), params.get("environment")];
  const all = items.flatMap((service) => service.environments.map((environment) => ({ service, environment })));
  const shown = all.filter(({ service, environment }) => (!name || service.name === name) && (!place || environment === place));
  const end = shown.length < all.length && <span className="muted">{shown.length} of {all.length}, as the log is filtered</span>;
  return (
    <Section title="Services" end={end}>
      <div className="stack">
        {shown.map(({ service, environment }) => <ServiceCard key={`${service.name}/${environment}`} service={service} environment={environment} />)}
      </div>
    </Section>
  );
}

/** What can be shipped, and all that was. */
export default function DeploysPage(): ReactElement {
  const query = useQuery("services", services.list, { touches: ["service.", "deploy."] });
  return (
    <PageFrame title="Deploys">
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No service yet." command="tenfold apply demo/config">
              A service is a file that names a repository and its hosts. Apply one, and its Deploy button stands here.
            </Empty>
          ) : <Cards items={items} />
        }
      </Loaded>
      <DeployLog />
    </PageFrame>
  );
}
