import { useMemo, type ReactElement } from "react";
import type { JudgeCount, JudgeReport } from "../api/types";
import { Chart } from "../charts/Chart";
import type { Range } from "../charts/range";
import { useMarkers } from "../charts/useMarkers";
import { HOUR_MS } from "../lib/time";
import { count, format } from "../lib/units";
import { Status } from "../ui/basics";
import { evidenceLines, neededWords, odds, ratioWords, sideLines, times, verdictLook, worseNats } from "./judge";

interface Props {
  report: JudgeReport;
  /** What the two sides are called, in the plural. */
  canary: string;
  control: string;
  service?: string;
}

function Requests({ of, word }: { of: JudgeCount; word: string }): ReactElement {
  if (of.total === 0) return <>no requests</>;
  return <>{count(of.events)} of {count(of.total)} {word} ({format(of.events / of.total, "ratio")})</>;
}

/** What happened while it watched, so that evidence that turned is seen beside what turned it. */
function useWatched(at: number[], service: string | undefined): ReturnType<typeof useMarkers> {
  const [from, to] = [(at[0] ?? 0) * 1000, (at.at(-1) ?? 0) * 1000];
  // By the hour: an end that moves with every look would be another question each time.
  const end = from + Math.ceil((to - from) / HOUR_MS) * HOUR_MS;
  const range = useMemo<Range>(() => ({ fromMs: from, toMs: end, name: null, text: "" }), [from, end]);
  const markers = useMarkers(range, service, to > from);
  return useMemo(() => markers.filter((marker) => Date.parse(marker.at) <= to), [markers, to]);
}

/** The judge's verdict with what it rests on: counts, ratio with its interval, evidence over time. */
export function Judge({ report, canary, control, service }: Props): ReactElement {
  const [look, word] = verdictLook(report.verdict);
  const { times: at, lines } = evidenceLines(report);
  const markers = useWatched(at, service);
  const newest = report.series.at(-1);
  const failed = report.latency_alone ? "slow" : "failed";
  const { rates, ratio } = useMemo(() => sideLines(report, canary, control), [report, canary, control]);
  return (
    <div className="stack tight" role="group" aria-label="The judge">
      <div className="buttons">
        <Status look={look}>{word}</Status>
        <span className="muted">{neededWords(report)}</span>
      </div>
      <dl className="facts">
        <dt>{canary}</dt>
        <dd><Requests of={report.seen.canary} word={failed} /></dd>
        <dt>{control}</dt>
        <dd><Requests of={report.seen.control} word={failed} /></dd>
        {report.slow && !report.latency_alone && (
          <>
            <dt>Slow</dt>
            <dd><Requests of={report.slow.canary} word="slow" /> beside <Requests of={report.slow.control} word="slow" /></dd>
          </>
        )}
        <dt>Ratio</dt>
        <dd>{ratioWords(report)}; {times(report.tolerated)} times is tolerated</dd>
        {newest && (
          <>
            <dt>Evidence</dt>
            <dd>{odds(worseNats(newest))} for worse, {odds(report.roll_back_at)} wanted; {odds(newest.promote)} for not worse, {odds(report.promote_at)} wanted</dd>
          </>
        )}
      </dl>
      {rates.lines.length > 0 && (
        <>
          <Chart
            title={`Requests that ${report.latency_alone ? "were slow" : "failed"}`}
            description="Of the requests between two looks, on both sides."
            unit="ratio" times={rates.times} lines={rates.lines} markers={markers} height={110} rangeText="since the watch began"
          />
          <Chart
            title="Times as often"
            description="How many times as often the canary fails as the others, all looks together, with what of that is believable. What is above the upper edge is drawn at it."
            unit="short" times={ratio.times} lines={ratio.lines} markers={markers} height={110} rangeText="since the watch began"
          />
        </>
      )}
      <Chart
        title="Evidence, in powers of ten"
        description="How strongly the counts speak for worse and for not worse. What speaks against either by more than a hundredfold, or for it by more than a millionfold, is drawn at the edge."
        unit="short" times={at} lines={lines} markers={markers} height={110}
        rangeText="since the watch began"
        note={lines.length === 0 ? "Nothing was counted yet." : null}
      />
    </div>
  );
}
