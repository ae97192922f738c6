import type { ReactElement } from "react";
import type { PlannedStage } from "../../../api/types";
import { stages } from "./stages";

/** A line of the steps to come, each with what it does and where. */
export function Plan({ stages: plan }: { stages: PlannedStage[] }): ReactElement {
  return (
    <ol className="steps" aria-label="Plan">
      {stages(plan).map(({ name, says, where, hosts }) => (
        <li key={name} className="step planned">
          <span className="strong">{name}</span>
          {where && <span className="small" title={hosts.map((batch) => batch.join(", ")).join("; ")}>{where}</span>}
          <span className="small muted wrap-any">{says}</span>
        </li>
      ))}
    </ol>
  );
}
