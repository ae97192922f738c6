import { deploys } from "../api/endpoints";
import type { Deploy } from "../api/types";
import { useQuery } from "../api/useQuery";

const RECENT = 30;
const NONE: Deploy[] = [];

/** The newest deploys of a service in an environment; shared by all who ask. */
export function useRecentDeploys(service: string | null | undefined, environment: string | null | undefined): Deploy[] {
  const where = environment ?? "production";
  const query = useQuery(service ? `recent:${service}:${where}` : null, () => deploys.list({ service: service ?? "", environment: where, limit: RECENT }), { touches: ["deploy."] });
  return query.data?.items ?? NONE;
}
