import type { ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import type { Alert, Decision } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import type { Look } from "../../lib/status";
import { Status, Time } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";

const STAGE: Record<string, string> = {
  dedup: "Known already", flap: "Flapping", route: "Route", inhibit: "Inhibition", time_interval: "Time", mute: "Mutes", group: "Group", notify: "Telling",
};
const VERDICT: Record<string, [Look, string]> = {
  pass: ["quiet", "Goes on"], suppress: ["unknown", "Kept quiet"], wait: ["busy", "Later"], send: ["ok", "Told"], nothing: ["quiet", "Nothing new"],
};

export function Rows({ decisions }: { decisions: Decision[] }): ReactElement {
  return (
    <ol className="stack tight">
      {decisions.map((decision, i) => {
        const [look, word] = VERDICT[decision.verdict] ?? ["unknown", decision.verdict];
        return (
          <li key={i}>
            <Status look={look}>{`${STAGE[decision.stage] ?? decision.stage}: ${word}`}</Status>
            <span className="muted wrap-any">{` ${decision.because}`}</span>
          </li>
        );
      })}
    </ol>
  );
}

/** Why people were told of this alert, or were not: what each stage said, the newest first. */
export function Decisions({ alert }: { alert: Alert }): ReactElement {
  const query = useQuery(`why:${alert.fingerprint}`, () => alerts.why(alert.fingerprint), { touches: ["alert.", "mute.", "routing."] });
  return (
    <Section title="Why">
      <Loaded query={query}>
        {({ decided }) => (decided.length === 0
          ? <p className="muted">Nothing was decided of it yet.</p>
          : <div className="stack">{decided.slice(0, 5).map((one) => (
            <div key={one.seq}>
              <p><Time at={one.at} show="both" /> {one.text}</p>
              <Rows decisions={one.decisions as unknown as Decision[]} />
            </div>
          ))}</div>)}
      </Loaded>
    </Section>
  );
}
