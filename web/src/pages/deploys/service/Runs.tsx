import type { ReactElement } from "react";
import { services } from "../../../api/endpoints";
import { useQuery } from "../../../api/useQuery";
import { plural } from "../../../lib/units";
import { Sha, Status } from "../../../ui/basics";
import { groups } from "./groups";

/** Which commit how many hosts run, as they say it themselves; more than one line is a fleet that is not of one mind. */
export function Runs({ service, environment }: { service: string; environment: string }): ReactElement | null {
  const query = useQuery("hosts", services.hosts, { touches: ["host.", "deploy."] });
  const found = groups(query.data?.items ?? [], service, environment);
  if (found.length === 0) return null;
  return (
    <ul className="buttons" aria-label={`What runs of ${service} in ${environment}`}>
      {found.map(({ sha, look, word, hosts }) => (
        <li key={`${sha} ${word}`} title={hosts.join(", ")}><Status look={look}>{plural(hosts.length, "host")} {word}</Status> <Sha sha={sha} /></li>
      ))}
    </ul>
  );
}
