/** What whoever ships said beforehand: a checklist before the click, a score after it. */
import { useId, type ReactElement } from "react";
import type { DeployApproval, DeployExpects } from "../../api/types";
import type { Look } from "../../lib/status";
import { plural } from "../../lib/units";
import { Status, Time } from "../../ui/basics";
import { Section } from "../../ui/Section";

const OUTCOME: Record<string, [Look, string]> = { met: ["ok", "Met"], missed: ["warning", "Missed"], unknown: ["unknown", "No data"] };

const value = (number: number | null | undefined): string => (number === null || number === undefined ? "–" : String(Number(number.toPrecision(4))));

function Check({ word, text }: { word: string; text: string }): ReactElement {
  const id = useId();
  return (
    <li>
      <input type="checkbox" id={id} /> <label htmlFor={id}><span className="muted">{word}</span> {text}</label>
    </li>
  );
}

/** Ticking is for whoever reads; nothing is sent. */
export function Checklist({ expects }: { expects: DeployExpects }): ReactElement {
  return (
    <div className="stack tight">
      <p className="strong">Before the click</p>
      <ul className="stack tight" aria-label="Before the click">
        {expects.metrics.map(({ says }) => <Check key={`m ${says}`} word="expected" text={says} />)}
        {expects.risks.map((risk) => <Check key={`r ${risk}`} word="risk" text={risk} />)}
        {expects.signs.map((sign) => <Check key={`s ${sign}`} word="sign of trouble" text={sign} />)}
        {expects.contingency && <Check word="then" text={expects.contingency} />}
      </ul>
    </div>
  );
}

export function Score({ expects }: { expects: DeployExpects }): ReactElement {
  return (
    <Section title="Expected" end={expects.scored_at ? <span className="muted">scored <Time at={expects.scored_at} /></span> : <span className="muted">scored {expects.after_s} s after the last host</span>}>
      <ul className="stack tight">
        {expects.metrics.map(({ says, outcome, before, after }) => {
          const [look, word] = OUTCOME[outcome ?? ""] ?? (["quiet", "Not scored yet"] as const);
          return (
            <li key={says}>
              <Status look={look}>{word}</Status> <span className="wrap-any">{says}</span>
              {outcome && <span className="muted"> {value(before)} → {value(after)}</span>}
            </li>
          );
        })}
      </ul>
      {expects.risks.length > 0 && <p><span className="muted">Risks:</span> {expects.risks.join("; ")}</p>}
      {expects.signs.length > 0 && <p><span className="muted">Signs of trouble:</span> {expects.signs.join("; ")}</p>}
      {expects.contingency && <p><span className="muted">Then:</span> {expects.contingency}</p>}
    </Section>
  );
}

export function Approvals({ approval }: { approval: DeployApproval }): ReactElement {
  const who = approval.by.length > 0 ? approval.by.join(", ") : `anybody with the role ${approval.role}`;
  const open = approval.given.length < approval.count;
  return (
    <p>
      <Status look={open ? "warning" : "ok"}>{approval.given.length} of {plural(approval.count, "approval")}</Status>{" "}
      {approval.given.map(({ name }) => name).join(", ")}
      <span className="muted"> by {who}{approval.four_eyes && ", not by who started it"}{approval.until && <>; ends <Time at={approval.until} show="stamp" /></>}</span>
    </p>
  );
}
