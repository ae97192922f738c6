/** What a press of the button would do: from which commit to which, what comes, what goes, and stage by stage how. */
import { useState, type ReactElement } from "react";
import type { Commit, NextDeploy } from "../../../api/types";
import { duration } from "../../../lib/time";
import { plural } from "../../../lib/units";
import { CommitList } from "../../../parts/CommitList";
import { DiffLink } from "../../../parts/DiffLink";
import { Sha, Status } from "../../../ui/basics";
import { Plan } from "./Plan";

const COMMITS_SHOWN = 5;

export function Movement({ next }: { next: NextDeploy }): ReactElement {
  return (
    <span>
      <Sha sha={next.current?.sha} /> <span aria-label="to">→</span> <Sha sha={next.next?.sha} />{" "}
      {next.diff_url && <><DiffLink url={next.diff_url} />{" "}</>}
      <span className="muted">
        {next.added.length > 0 && `${plural(next.added_count, "commit")} added`}
        {next.removed.length > 0 && `, ${plural(next.removed_count, "commit")} removed`}
        {next.expected_ms ? `, about ${duration(next.expected_ms)}` : ""}
      </span>
    </span>
  );
}

function Some({ commits, count, all, removed = false }: { commits: Commit[]; count: number; all: boolean; removed?: boolean }): ReactElement {
  const [open, setOpen] = useState(all);
  return (
    <>
      <CommitList commits={open ? commits : commits.slice(0, COMMITS_SHOWN)} removed={removed} />
      {!all && commits.length > COMMITS_SHOWN && (
        <div>
          <button type="button" className="button plain" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Fewer" : `All ${commits.length} commits`}</button>
        </div>
      )}
      {count > commits.length && <p className="muted">The newest {commits.length} of {plural(count, "commit")}.</p>}
    </>
  );
}

/** `full` shows every commit and the plan at once, as the page of the service does. */
export function Ships({ next, full }: { next: NextDeploy; full: boolean }): ReactElement {
  const [planned, setPlanned] = useState(full);
  return (
    <>
      {next.warnings.map((warning) => <p key={warning}><Status look="warning">{warning}</Status></p>)}
      {next.added.length > 0 && <Some commits={next.added} count={next.added_count} all={full} />}
      {next.removed.length > 0 && (
        <>
          <p className="muted">These run now and would be gone:</p>
          <Some commits={next.removed} count={next.removed_count} all={full} removed />
        </>
      )}
      {next.plan.length > 0 && !full && (
        <div><button type="button" className="button plain" aria-expanded={planned} onClick={() => setPlanned(!planned)}>{planned ? "Hide the plan" : "Plan"}</button></div>
      )}
      {planned && <Plan stages={next.plan} />}
    </>
  );
}
