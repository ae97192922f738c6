import type { ReactElement } from "react";
import { services } from "../../api/endpoints";
import type { Service } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { Command, Empty } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";

function One({ service }: { service: Service }): ReactElement {
  return (
    <div className="panel pad stack">
      <h3>{service.name}</h3>
      {service.description && <p className="muted">{service.description}</p>}
      <dl className="facts">
        <dt>Repository</dt><dd className="mono wrap-any">{service.repository}</dd>
        <dt>Branch</dt><dd className="mono">{service.branch}</dd>
        <dt>Pipeline</dt><dd className="mono wrap-any">{service.pipeline_path ?? ".tenfold/deploy.yaml"}</dd>
        <dt>Environments</dt><dd>{service.environments.join(", ")}</dd>
        <dt>Owner</dt><dd>{service.owner_team ?? "no team"}</dd>
        <dt>Pages by policy</dt><dd>{service.policy ?? "none: incidents page nobody"}</dd>
        {(service.dependencies ?? []).length > 0 && <><dt>Depends on</dt><dd>{service.dependencies?.join(", ")}</dd></>}
      </dl>
    </div>
  );
}

/** Services are configuration: files in git, applied. This page shows what stands. */
export function ServiceSettings(): ReactElement {
  const query = useQuery("services", services.list, { touches: ["service.", "deploy."] });
  return (
    <Section title="Services">
      <p className="muted">Configuration is files in git. Write it out, change it, apply it:</p>
      <div className="buttons"><Command text="tenfold export config/" /><Command text="tenfold apply config/" /></div>
      <Loaded query={query}>
        {({ items }) => (items.length === 0 ? <Empty title="No service yet." command="tenfold apply demo/config" /> : <>{items.map((service) => <One key={service.name} service={service} />)}</>)}
      </Loaded>
    </Section>
  );
}
