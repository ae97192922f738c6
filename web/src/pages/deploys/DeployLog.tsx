import { useMemo, useState, type ReactElement } from "react";
import { deploys, services } from "../../api/endpoints";
import type { Deploy } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { Shas, DeployStatus } from "../../parts/DeployBits";
import { Link } from "../../router/Link";
import { useParams } from "../../router/router";
import { Elapsed, Empty, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

const STATES = ["succeeded", "rolled_back", "failed", "needs_human", "held", "awaiting_approval", "cancelled", "interrupted"];
const PAGE = 50;

function Row({ deploy }: { deploy: Deploy }): ReactElement {
  return (
    <tr>
      <td className="fit number"><Link to={`/deploys/${deploy.number}`}>{deploy.number}</Link></td>
      <td className="fit"><DeployStatus deploy={deploy} /></td>
      <td className="fit">{deploy.service}{deploy.environment !== "production" && <> <span className="tag">{deploy.environment}</span></>}</td>
      <td className="fit"><Shas deploy={deploy} /></td>
      <td className="number fit hide-narrow">{deploy.commit_count}</td>
      <td>
        {deploy.kind === "rollback" ? <>Rollback{deploy.reverts ? <> of <Link className="inline-link" to={`/deploys/${deploy.reverts}`}>{deploy.reverts}</Link></> : null}{deploy.reason ? `: ${deploy.reason}` : ""}</> : (deploy.commits[0]?.message.split("\n")[0] ?? "")}
      </td>
      <td className="fit">{deploy.actor_name}</td>
      <td className="fit"><Time at={deploy.started_at} show="both" /></td>
      <td className="fit number"><Elapsed from={deploy.started_at} to={deploy.finished_at} /></td>
    </tr>
  );
}

/** Every deploy there was: who, when, what. */
export function DeployLog(): ReactElement {
  const params = useParams();
  const [service, state, environment] = [params.get("service"), params.get("state"), params.get("environment")];
  const [pages, setPages] = useState<Deploy[]>([]);
  const key = `deploys:${service}:${state}:${environment}`;
  const query = useQuery(key, () => deploys.list({ service, state, environment, limit: PAGE }), { touches: ["deploy."] });
  const names = useQuery("services", services.list, { touches: ["service."] });
  const rows = useMemo(() => {
    const first = query.data?.items ?? [];
    const seen = new Set(first.map(({ number }) => number));
    return [...first, ...pages.filter(({ number, service: of }) => !seen.has(number) && (!service || of === service))];
  }, [query.data, pages, service]);
  const older = (): void => {
    const before = rows.at(-1)?.number;
    void deploys.list({ service, state, environment, limit: PAGE, ...(before ? { before } : {}) }).then(({ items }) => setPages((was) => [...was, ...items]));
  };
  const set = (name: string, value: string): void => {
    setPages([]);
    params.set({ [name]: value }, false);
  };
  const environments = [...new Set(names.data?.items.flatMap((item) => item.environments) ?? [])];
  return (
    <Section title="Deploy log">
      <div className="filters">
        <Field label="Service">
          <select value={service} onChange={(event) => set("service", event.target.value)}>
            <option value="">all</option>
            {names.data?.items.map(({ name }) => <option key={name}>{name}</option>)}
          </select>
        </Field>
        <Field label="Environment">
          <select value={environment} onChange={(event) => set("environment", event.target.value)}>
            <option value="">all</option>
            {environments.map((name) => <option key={name}>{name}</option>)}
          </select>
        </Field>
        <Field label="State">
          <select value={state} onChange={(event) => set("state", event.target.value)}>
            <option value="">all</option>
            {STATES.map((name) => <option key={name} value={name}>{name.replace("_", " ")}</option>)}
          </select>
        </Field>
      </div>
      <Loaded query={query}>
        {() =>
          rows.length === 0 ? (
            service || state || environment ? (
              <Empty title="No deploy matches these filters." />
            ) : (
              <Empty title="Nothing was deployed yet." command="tenfold deploy photos">Press Deploy above, or type the same in a terminal or the chat room.</Empty>
            )
          ) : (
            <TableWrap>
              <table className="stacks">
                <thead>
                  <tr>
                    <th scope="col" className="number">No.</th><th scope="col">State</th><th scope="col">Service</th><th scope="col">From → to</th>
                    <th scope="col" className="number">Commits</th><th scope="col">What</th><th scope="col">Who</th><th scope="col">When</th><th scope="col" className="number">Took</th>
                  </tr>
                </thead>
                <tbody>{rows.map((deploy) => <Row key={deploy.number} deploy={deploy} />)}</tbody>
              </table>
            </TableWrap>
          )
        }
      </Loaded>
      {rows.length >= PAGE && (rows.at(-1)?.number ?? 1) > 1 && <div><button type="button" className="button" onClick={older}>Older deploys</button></div>}
    </Section>
  );
}
