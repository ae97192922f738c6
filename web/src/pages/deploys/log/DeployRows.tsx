import type { ReactElement } from "react";
import type { Deploy } from "../../../api/types";
import { DeployStatus, Shas } from "../../../parts/DeployBits";
import { Link } from "../../../router/Link";
import { Elapsed, Time } from "../../../ui/basics";
import { TableWrap } from "../../../ui/TableWrap";
import { servicePath } from "../service/path";

function What({ deploy }: { deploy: Deploy }): ReactElement {
  if (deploy.kind !== "rollback") return <>{deploy.commits[0]?.message.split("\n")[0] ?? deploy.reason ?? ""}</>;
  return <>Rollback{deploy.reverts ? <> of <Link className="inline-link" to={`/deploys/${deploy.reverts}`}>{deploy.reverts}</Link></> : null}{deploy.reason ? `: ${deploy.reason}` : ""}</>;
}

function Row({ deploy, place }: { deploy: Deploy; place: boolean }): ReactElement {
  return (
    <tr>
      <td className="fit number"><Link to={`/deploys/${deploy.number}`}>{deploy.number}</Link></td>
      <td className="fit"><DeployStatus deploy={deploy} /></td>
      {place && <td className="fit"><Link to={servicePath(deploy.service)}>{deploy.service}</Link>{deploy.environment !== "production" && <> <span className="tag">{deploy.environment}</span></>}</td>}
      {!place && <td className="fit">{deploy.environment}</td>}
      <td className="fit"><Shas deploy={deploy} /></td>
      <td className="number fit hide-narrow">{deploy.commit_count}</td>
      <td className="wrap-any"><What deploy={deploy} /></td>
      <td className="fit">{deploy.actor_name}</td>
      <td className="fit"><Time at={deploy.started_at} show="both" /></td>
      <td className="fit number"><Elapsed from={deploy.started_at} to={deploy.finished_at} /></td>
    </tr>
  );
}

/** Deploys as rows; of one service only its environments are named. */
export function DeployRows({ rows, place = true }: { rows: Deploy[]; place?: boolean }): ReactElement {
  return (
    <TableWrap>
      <table className="stacks">
        <thead>
          <tr>
            <th scope="col" className="number">No.</th><th scope="col">State</th><th scope="col">{place ? "Service" : "Environment"}</th><th scope="col">From → to</th>
            <th scope="col" className="number hide-narrow">Commits</th><th scope="col">What</th><th scope="col">Who</th><th scope="col">When</th><th scope="col" className="number">Took</th>
          </tr>
        </thead>
        <tbody>{rows.map((deploy) => <Row key={deploy.number} deploy={deploy} place={place} />)}</tbody>
      </table>
    </TableWrap>
  );
}
