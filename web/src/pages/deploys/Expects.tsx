/** What whoever ships said beforehand: a checklist before the click, a score after it. */
import { useId, useState, type ReactElement } from "react";
import type { DeployApproval, DeployExpects } from "../../api/types";
import type { Look } from "../../lib/status";
import { plural } from "../../lib/units";
import { Status, Time } from "../../ui/basics";
import { Section } from "../../ui/Section";

const OUTCOME: Record<string, [Look, string]> = { met: ["ok", "Met"], missed: ["warning", "Missed"], unknown: ["unknown", "No data"], replaced: ["quiet", "Not scored"] };

const value = (number: number | null | undefined): string => (number === null || number === undefined ? "–" : String(Number(number.toPrecision(4))));

interface CheckProps {
  word: string;
  text: string;
  ticked: boolean;
  onTick: (text: string) => void;
}

function Check({ word, text, ticked, onTick }: CheckProps): ReactElement {
  const id = useId();
  return (
    <li>
      <input type="checkbox" id={id} checked={ticked} onChange={() => onTick(text)} /> <label htmlFor={id}><span className="muted">{word}</span> {text}</label>
    </li>
  );
}

/** How much of the checklist was ticked goes into the record with the deploy; nobody is kept from pressing. */
export const tickedWords = (ticked: number, of: number): string => (ticked > 0 ? `${ticked} of ${of} of the checklist ticked` : "");

export function Checklist({ expects, onTicked }: { expects: DeployExpects; onTicked: (words: string) => void }): ReactElement {
  const [ticked, setTicked] = useState<string[]>([]);
  const all = [...expects.metrics.map(({ says }) => says), ...expects.risks, ...expects.signs, ...(expects.contingency ? [expects.contingency] : [])];
  const onTick = (text: string): void => {
    const next = ticked.includes(text) ? ticked.filter((one) => one !== text) : [...ticked, text];
    setTicked(next);
    onTicked(tickedWords(next.filter((one) => all.includes(one)).length, all.length));
  };
  const check = (word: string, text: string): ReactElement => <Check key={`${word} ${text}`} word={word} text={text} ticked={ticked.includes(text)} onTick={onTick} />;
  return (
    <div className="stack tight">
      <p className="strong">Before the click</p>
      <ul className="stack tight" aria-label="Before the click">
        {expects.metrics.map(({ says }) => check("expected", says))}
        {expects.risks.map((risk) => check("risk", risk))}
        {expects.signs.map((sign) => check("sign of trouble", sign))}
        {expects.contingency && check("then", expects.contingency)}
      </ul>
    </div>
  );
}

/** When it is scored, or why it is not; `out` while the release may still be out when its time comes. */
export function scoreWords({ after_s, replaced_by }: Pick<DeployExpects, "after_s" | "replaced_by">, out: boolean): string {
  if (replaced_by) return `deploy ${replaced_by} took its place`;
  return out ? `scored ${after_s} s after the last host` : "not scored: it is not out";
}

export function Score({ expects, out }: { expects: DeployExpects; out: boolean }): ReactElement {
  const scored = expects.metrics.some(({ outcome }) => outcome !== "replaced") ? expects.scored_at : null;
  return (
    <Section title="Expected" end={<span className="muted">{scored ? <>scored <Time at={scored} />{expects.replaced_by ? `, when deploy ${expects.replaced_by} took its place` : ""}</> : scoreWords(expects, out)}</span>}>
      <ul className="stack tight">
        {expects.metrics.map(({ says, outcome, before, after }) => {
          const [look, word] = OUTCOME[outcome ?? ""] ?? (["quiet", out ? "Not scored yet" : "Not scored"] as const);
          return (
            <li key={says}>
              <Status look={look}>{word}</Status> <span className="wrap-any">{says}</span>
              {outcome && outcome !== "replaced" && <span className="muted"> {value(before)} → {value(after)}</span>}
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

/** Those whom the pipeline file names, in words; nobody where everybody with the role may. */
export const approversOf = ({ by, teams }: Pick<DeployApproval, "by" | "teams">): string[] => [...by, ...teams.map((team) => `the team ${team}`)];

/** Who may, in words, whether the pipeline file names somebody or not. */
export const whoApproves = (approval: Pick<DeployApproval, "by" | "teams" | "role">): string => approversOf(approval).join(", ") || `anybody with the role ${approval.role}`;

export function Approvals({ approval }: { approval: DeployApproval }): ReactElement {
  const open = approval.given.length < approval.count;
  return (
    <p>
      <Status look={open ? "warning" : "ok"}>{approval.given.length} of {plural(approval.count, "approval")}</Status>{" "}
      {approval.given.map(({ name }) => name).join(", ")}
      <span className="muted"> by {whoApproves(approval)}{approval.four_eyes && ", not by who started it"}{approval.until && <>; ends <Time at={approval.until} show="stamp" /></>}</span>
    </p>
  );
}
