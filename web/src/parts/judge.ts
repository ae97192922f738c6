/** What the judge saw, in words and as lines: of a ramp's guard and of a deploy's canary alike. */
import type { JudgeEvidence, JudgeReport, JudgeVerdict } from "../api/types";
import type { Line } from "../charts/summary";
import type { Look } from "../lib/status";
import { count } from "../lib/units";

const VERDICTS: Record<JudgeVerdict, [Look, string]> = {
  watching: ["busy", "Watching"],
  worse: ["critical", "Worse"],
  not_worse: ["ok", "Not worse"],
  no_data: ["unknown", "No data"],
  not_enough_data: ["unknown", "Not enough data"],
  inconclusive: ["unknown", "Inconclusive"],
};
export const verdictLook = (verdict: JudgeVerdict): [Look, string] => VERDICTS[verdict];

/** Below this the evidence is drawn at the lower edge: how very much it speaks against something is of no use. */
const LOW = -2;
/** Above this nothing is said more exactly either, and the heights that count would be lost. */
const HIGH = 6;
const powers = (nats: number): number => Math.min(HIGH, Math.max(LOW, nats / Math.LN10));

/** Evidence for worse: the mean of both e-values where latency is judged as well. */
export function worseNats({ errors, latency }: JudgeEvidence): number {
  if (typeof latency !== "number") return errors;
  const high = Math.max(errors, latency);
  return high + Math.log((Math.exp(errors - high) + Math.exp(latency - high)) / 2);
}

/** Evidence over time, in powers of ten, with the heights at which the judge says its word. */
export function evidenceLines({ series, roll_back_at, promote_at }: JudgeReport): { times: number[]; lines: Line[] } {
  const all = (value: number): number[] => series.map(() => powers(value));
  const both = series.some(({ latency }) => typeof latency === "number");
  return {
    times: series.map(({ at_ms }) => at_ms / 1000),
    lines: series.length === 0 ? [] : [
      { label: "worse", values: series.map((evidence) => powers(worseNats(evidence))) },
      { label: "not worse", values: series.map(({ promote }) => powers(promote)) },
      { label: "called worse at", limit: true, values: all(roll_back_at) },
      { label: "called not worse at", limit: true, values: all(promote_at) },
      ...(both ? [
        { label: "more failures", values: series.map(({ errors }) => powers(errors)) },
        { label: "slower", values: series.map(({ latency }) => (typeof latency === "number" ? powers(latency) : null)) },
      ] : []),
    ],
  };
}

/** The upper edge of the ratio's chart is never higher than this. */
const RATIO_HIGH = 10;

interface Drawn {
  times: number[];
  lines: Line[];
}

/** How often each side failed between two looks, and how many times as often the canary did until then, with what of that is believable. */
export function sideLines({ series, tolerated }: JudgeReport, canary: string, control: string): { rates: Drawn; ratio: Drawn } {
  const points = series.flatMap(({ at_ms, sides }) => (sides ? [{ at: at_ms / 1000, ...sides }] : []));
  const since = (side: "canary" | "control"): (number | null)[] => points.map(({ seen }, index) => {
    const [now, before] = [seen[side], points[index - 1]?.seen[side] ?? { events: 0, total: 0 }];
    return now.total > before.total ? (now.events - before.events) / (now.total - before.total) : null;
  });
  const ratio = points.map(({ seen: { canary: one, control: other } }) => {
    if (one.total === 0 || other.total === 0 || other.events === 0) return null;
    return (one.events / one.total) / (other.events / other.total);
  });
  // The first looks leave nearly any ratio believable; drawn to their height, nobody would see what is believable now.
  const edge = Math.min(RATIO_HIGH, Math.max(2 * tolerated, points.at(-1)?.ratio_high ?? RATIO_HIGH, ...ratio.map((value) => value ?? 0)));
  const within = (value: number): number => Math.min(edge, value);
  const times = points.map(({ at }) => at);
  const drawn = (lines: Line[]): Drawn => ({ times, lines: points.length === 0 ? [] : lines });
  return {
    rates: drawn([{ label: canary, values: since("canary") }, { label: control, values: since("control") }]),
    ratio: drawn([
      { label: "ratio", values: ratio.map((value) => (value === null ? null : within(value))) },
      { label: "at most", edge: "high", values: points.map(({ ratio_high }) => within(ratio_high ?? edge)) },
      { label: "at least", edge: "low", values: points.map(({ ratio_low }) => within(ratio_low)) },
      { label: "tolerated", limit: true, values: points.map(() => tolerated) },
    ]),
  };
}

export const times = (ratio: number): string => String(Number(ratio.toPrecision(2)));

/** An e-value as odds, from its logarithm. */
export function odds(nats: number): string {
  const value = Math.exp(nats);
  if (value >= 1e6) return "over a million to 1";
  if (value <= 1e-6) return "under a millionth to 1";
  return `${value >= 10 ? count(Math.floor(value + 1e-6)) : times(value)} to 1`;
}

export function ratioWords({ ratio, ratio_low, ratio_high, seen }: JudgeReport): string {
  if (typeof ratio !== "number") return "no data";
  if (seen.canary.events + seen.control.events === 0) return "nothing failed on either side";
  return `${times(ratio)} times as often (${times(ratio_low)} to ${typeof ratio_high === "number" ? times(ratio_high) : "any number"})`;
}

export function neededWords({ canary_requests_needed: needed, seen }: JudgeReport): string {
  if (typeof needed !== "number") return "nothing failed on either side, so there is nothing to compare";
  const left = needed - seen.canary.total;
  return left > 0 ? `about ${count(left)} more requests for a good one` : "enough to tell a good one";
}
