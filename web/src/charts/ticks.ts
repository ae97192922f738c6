/** Where axes are divided, and what stands there. */
import { format } from "../lib/units";
import { clock, clockWithSeconds, day, isMidnight } from "../lib/zone";

const [MINUTE_S, HOUR_S, DAY_S] = [60, 3_600, 86_400];
const YEAR_S = 365 * DAY_S;

const decimal = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => [1, 2, 5].map((digit) => Number(`${digit}e${from + at}`))).flat();

/** Of a duration: decimal below 20 s and in days, between them as clocks are divided. */
const SECONDS = [
  ...decimal(-9, 1), 10, 15, 30,
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_S),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR_S),
  ...decimal(0, 6).map((days) => days * DAY_S),
];
const BYTES = Array.from({ length: 50 }, (_, power) => 2 ** power);
const STEPS: Record<string, number[]> = {
  seconds: SECONDS,
  ms: [...decimal(-6, 3), ...SECONDS.filter((step) => step >= 1).map((step) => step * 1000)],
  date: SECONDS,
  bytes: BYTES,
  bytes_per_second: BYTES,
};

/** What the axis may be divided into; undefined where any decimal step does. */
export const stepsOf = (unit: string): number[] | undefined => STEPS[unit];

/** A duration to the second, in all the units that it takes. */
function whole(seconds: number): string {
  let rest = Math.round(Math.abs(seconds));
  const parts = ([[DAY_S, "d"], [HOUR_S, "h"], [MINUTE_S, "min"], [1, "s"]] as const).flatMap(([length, name]) => {
    const many = Math.floor(rest / length);
    rest -= many * length;
    return many > 0 ? [`${many} ${name}`] : [];
  });
  return parts.length === 0 ? "0 s" : `${seconds < 0 ? "-" : ""}${parts.join(" ")}`;
}

/** What stands at the splits of an axis of time. */
export function timeLabels(splits: number[], step: number): string[] {
  return splits.map((split, index) => {
    // A few seconds have splits within a second: its clock stands once.
    if (step < 1 && split % 1 !== 0) return "";
    const instant = split * 1000;
    if (step >= DAY_S || (index > 0 && isMidnight(instant))) return day(instant).replace(/^\w+ /, "");
    return step < 60 ? clockWithSeconds(instant) : clock(instant);
  });
}

/** Labels that differ: with as many places behind the point as that takes. */
export function distinct(splits: (number | null)[], write: (value: number, decimals?: number) => string): string[] {
  const labels = (decimals?: number): string[] => splits.map((split) => (split === null ? "" : write(split, decimals)));
  const differ = (texts: string[]): boolean => {
    const shown = texts.filter((_, at) => splits[at] !== null);
    return new Set(shown).size === shown.length;
  };
  const plain = labels();
  if (differ(plain)) return plain;
  for (let decimals = 0; decimals <= 9; decimals += 1) {
    const texts = labels(decimals);
    if (differ(texts)) return texts;
  }
  return plain;
}

/** `step` is what lies between two of them; nothing on a logarithmic axis. */
export function valueLabels(splits: (number | null)[], unit: string, step: number | null): string[] {
  const scale = unit === "ms" ? 1000 : 1;
  if (unit === "date" && step !== null) {
    if (step < YEAR_S) return timeLabels(splits.map((split) => split ?? 0), step);
    return splits.map((split) => (split === null ? "" : String(new Date(split * 1000).getUTCFullYear())));
  }
  if (unit !== "seconds" && unit !== "ms") return distinct(splits, (value, decimals) => format(value, unit, decimals));
  if (step !== null && step >= scale) return splits.map((split) => (split === null ? "" : whole(split / scale)));
  return distinct(splits, (value, decimals) => (decimals === undefined ? format(value / scale, "seconds") : `${(value / scale).toFixed(decimals)} s`));
}
