import type { ReactElement } from "react";
import type { Guard as GuardShape, GuardCondition, GuardEvidence, GuardReading, RampWatch } from "../../api/types";
import { duration } from "../../lib/time";
import { plural } from "../../lib/units";
import { Judge } from "../../parts/Judge";
import { verdictLook } from "../../parts/judge";
import { Status, Time } from "../../ui/basics";
import { TableWrap } from "../../ui/TableWrap";

/** A value in as many digits as say something. */
export const figure = (value: number): string => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4))));

const judges = (condition: GuardCondition): condition is Extract<GuardCondition, { judge: unknown }> => "judge" in condition;

export function conditionWords({ condition }: Pick<GuardShape, "condition">): string {
  if (!judges(condition)) return `${condition.threshold.op} ${figure(condition.threshold.value)}`;
  const { errors, latency, tolerate = 1.25 } = condition.judge;
  const what = errors && latency ? "errors and latency" : errors ? "errors" : "latency";
  return `judged by ${what}: at most ${figure(tolerate)} times as often`;
}

/** What is asked, as it stands in a plan. */
export function asked({ expr, condition }: Pick<GuardShape, "expr" | "condition">): string {
  if (!judges(condition)) return `${(expr ?? "").trim()} ${conditionWords({ condition })}`;
  const { errors, latency } = condition.judge;
  const lines = [
    ...(errors ? [`with it:    ${errors.new.bad} of ${errors.new.total}`, `without it: ${errors.old.bad} of ${errors.old.total}`] : []),
    ...(latency ? [`with it:    ${latency.new}`, `without it: ${latency.old}`] : []),
  ];
  return `${conditionWords({ condition })}\n${lines.join("\n")}`;
}

const SIDES = { canary: "With the flag", control: "Without it" };

function reading(last: GuardReading | undefined | null, words: string): [Parameters<typeof Status>[0]["look"], string] {
  if (!last) return ["quiet", "Not looked yet"];
  if (last.kind === "good") return ["ok", `Holds: ${figure(last.value)} is ${words}`];
  if (last.kind === "failing") return ["critical", `Fails: ${figure(last.value)} is not ${words}`];
  if (last.kind === "judged") return verdictLook(last.report.verdict);
  return ["unknown", `No data: ${last.why}`];
}

/** What a guard wants and what it has seen of the step that holds now. */
export function Guard({ guard, watch }: { guard: GuardShape; watch: RampWatch }): ReactElement {
  const words = conditionWords(guard);
  const [look, word] = reading(watch.last, words);
  const lasting = guard.for_ms ?? 0;
  const fails = guard.on_fail === "step_back" ? "goes a step back" : "switches off";
  return (
    <div className="stack tight" role="group" aria-label="Guard">
      <div className="buttons">
        <Status look={look}>{word}</Status>
        {watch.last_at && <span className="muted">looked <Time at={watch.last_at} /></span>}
      </div>
      <pre className="expression">{asked(guard)}</pre>
      {watch.last?.kind === "judged" && <Judge report={watch.last.report} {...SIDES} />}
      <span className="muted">
        {judges(guard.condition)
          ? `${fails} as soon as it is worse, and goes on only when it is not worse`
          : `${plural(watch.good ?? 0, "good reading")} in this step, ${guard.readings_min ?? 3} wanted · ${fails}${lasting > 0 ? ` after ${duration(lasting)}` : " at once"} when it fails`}
        {watch.failing_since && <> · failing since <Time at={watch.failing_since} /></>}
      </span>
      {watch.waiting_since && <Status look="warning">The next step waits for data, since <Time at={watch.waiting_since} /></Status>}
    </div>
  );
}

function why(seen: GuardReading, words: string): string {
  if (seen.kind === "no_data") return seen.why;
  if (seen.kind === "judged") return verdictLook(seen.report.verdict)[1].toLowerCase();
  return `${figure(seen.value)} is not ${words}`;
}

/** Why a guard acted, with what it saw. */
export function Evidence({ evidence }: { evidence: GuardEvidence }): ReactElement {
  const words = conditionWords(evidence);
  const seen = evidence.reading;
  const lasted = Date.parse(evidence.at) - Date.parse(evidence.since);
  return (
    <div className="stack tight" role="group" aria-label="Evidence">
      <Status look={seen.kind === "no_data" ? "unknown" : seen.kind === "judged" ? verdictLook(seen.report.verdict)[0] : "critical"}>
        The guard acted at {evidence.percent} %: {why(seen, words)}
      </Status>
      <pre className="expression">{asked(evidence)}</pre>
      {seen.kind === "judged" && <Judge report={seen.report} {...SIDES} />}
      <span className="muted">
        <Time at={evidence.at} show="both" />{lasted > 0 && <> · for {duration(lasted)} by then</>} · {plural(evidence.good, "good reading")} before it
      </span>
      {seen.kind === "failing" && seen.worst.length > 0 && (
        <TableWrap>
          <table>
            <thead><tr><th scope="col">Series that fail, of {seen.series}</th><th scope="col" className="num">Value</th></tr></thead>
            <tbody>{seen.worst.map(({ labels, value }) => <tr key={labels}><td><code>{labels === "{}" ? "the whole" : labels}</code></td><td className="num">{figure(value)}</td></tr>)}</tbody>
          </table>
        </TableWrap>
      )}
    </div>
  );
}
