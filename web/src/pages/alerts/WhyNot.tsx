import { useState, type FormEvent, type ReactElement } from "react";
import { alerts, people } from "../../api/endpoints";
import type { WhyNot as Answer } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { useSession } from "../../shell/session";
import { Status, Time } from "../../ui/basics";
import { Field } from "../../ui/Field";
import { Section } from "../../ui/Section";
import { channelOf } from "../settings/reach";
import { labelsAsked } from "./matchers";

/** Whether an alert with these labels would page one person, and if not, why not. */
export function WhyNot({ labels }: { labels: string }): ReactElement {
  const { person } = useSession();
  const [login, setLogin] = useState(person.login);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const everybody = useQuery("people", () => people.list());
  const { busy, run } = useAction();
  const ask = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setAnswer((await run(() => alerts.whyNot(labelsAsked(labels), login))) ?? null);
  };
  return (
    <Section title="Would it page…">
      <form className="stack" onSubmit={(event) => void ask(event)}>
        <Field label="Person">
          <select value={login} onChange={(event) => setLogin(event.target.value)}>
            {(everybody.data?.items ?? [person]).map((one) => <option key={one.login} value={one.login}>{one.name}</option>)}
          </select>
        </Field>
        <div><button type="submit" className="button" disabled={busy}>Ask</button></div>
      </form>
      {answer && (
        <div className="stack" role="status">
          <p><Status look={answer.pages ? "ok" : "unknown"}>{answer.pages ? "Paged" : "Not paged"}</Status> {answer.person_name}: {answer.because}{answer.at && <>, first at <Time at={answer.at} show="both" /></>}{answer.ways.length > 0 && `, by ${answer.ways.map(({ channel }) => channelOf(channel).text.toLowerCase()).join(", then ")}`}.</p>
          {answer.reasons.length > 0 && <ol className="stack tight">{answer.reasons.map((reason, index) => <li key={index} className="wrap-any"><span className="muted">{`${reason.stage}: `}</span>{reason.because}</li>)}</ol>}
        </div>
      )}
    </Section>
  );
}
