import type { ReactElement } from "react";
import type { DeployJudged } from "../../api/types";
import { clockWithSeconds } from "../../lib/time";
import { Judge } from "../../parts/Judge";
import { verdictLook } from "../../parts/judge";
import { Status } from "../../ui/basics";
import { Section } from "../../ui/Section";

/** What the judge makes of the canary: its sentence, the counts, and the evidence over time. */
export function CanaryJudge({ judged, service }: { judged: DeployJudged; service: string }): ReactElement {
  const [look, word] = verdictLook(judged.verdict);
  return (
    <Section title="The canary beside the others" end={judged.until && <span className="muted">watched until {clockWithSeconds(judged.until)} at the latest</span>}>
      {judged.report
        ? <Judge report={{ ...judged.report, verdict: judged.verdict }} canary="Canary" control="Others" service={service} />
        : <p><Status look={look}>{word}</Status> <span className="muted">{judged.said}</span></p>}
    </Section>
  );
}
