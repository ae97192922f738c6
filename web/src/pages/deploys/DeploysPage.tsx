import type { ReactElement } from "react";
import { services } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { Empty } from "../../ui/basics";
import { Loaded, PageFrame, Section } from "../../ui/Section";
import { DeployLog } from "./log/DeployLog";
import { ServiceCard } from "./ServiceCard";

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
          ) : (
            <Section title="Services">
              <div className="stack">
                {items.flatMap((service) =>
                  service.environments.map((environment) => (
                    <ServiceCard key={`${service.name}/${environment}`} service={service} environment={environment} />
                  )),
                )}
              </div>
            </Section>
          )
        }
      </Loaded>
      <DeployLog />
    </PageFrame>
  );
}
