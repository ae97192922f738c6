import { describe, expect, it } from "vitest";
import type { JudgeReport } from "../src/api/types";
import { bandsOf, colourOf } from "../src/charts/summary";
import { evidenceLines, neededWords, odds, ratioWords, sideLines } from "../src/parts/judge";
import { asked, conditionWords, figure } from "../src/pages/flags/Guard";
import { guardOf, NO_GUARD } from "../src/pages/flags/guardForm";
import { readSteps } from "../src/pages/flags/rampSteps";

describe("the steps of a ramp as people write them", () => {
  it("reads percentages with at most two decimals", () => {
    expect(readSteps("0.5, 5%, 25 100", 60_000)).toEqual([0.5, 5, 25, 100].map((percent) => ({ percent, hold_ms: 60_000 })));
  });
  it("says what is wrong", () => {
    for (const [text, words] of [["", "1 to 20"], ["1, x", "x is not"], ["101", "101 is not"], ["0.125", "0.125 is not"], ["5, 5", "rise"], ["50 10", "rise"]] as const) {
      expect(readSteps(text, 1), text).toContain(words);
    }
  });
});

describe("a guard in words", () => {
  it("shows four digits and the sign", () => {
    expect(conditionWords({ condition: { threshold: { op: "<", value: 0.02 } } })).toBe("< 0.02");
    expect([figure(0.187423), figure(12), figure(1234.567)]).toEqual(["0.1874", "12", "1235"]);
  });
});

const REPORT: JudgeReport = {
  verdict: "worse", seen: { canary: { events: 63, total: 3000 }, control: { events: 45, total: 9000 } },
  ratio: 4.2, ratio_low: 2.13, ratio_high: 8.8, tolerated: 1.25, prove_below: 1.5, dispersion: 1, latency_alone: false,
  roll_back_at: Math.log(100), promote_at: Math.log(20), canary_requests_needed: 9000,
  series: [{ at_ms: 5000, errors: 0, latency: 0, promote: 0 }, { at_ms: 10000, errors: 6, latency: 0, promote: -40 }],
};

describe("what the judge saw", () => {
  it("is drawn in powers of ten, with the heights at which it speaks", () => {
    const { times, lines } = evidenceLines(REPORT);
    expect(times).toEqual([5, 10]);
    expect(lines.map(({ label, limit }) => [label, Boolean(limit)])).toEqual([
      ["worse", false], ["not worse", false], ["called worse at", true], ["called not worse at", true], ["more failures", false], ["slower", false],
    ]);
    expect(lines.slice(4).map(({ values }) => values[1]), "both parts, where both are judged").toEqual([6 / Math.LN10, 0]);
    expect(lines[0]!.values[1]).toBeCloseTo(Math.log10((Math.exp(6) + 1) / 2));
    expect(lines[1]!.values[1]).toBe(-2);
    expect(lines[2]!.values).toEqual([2, 2]);
    expect(evidenceLines({ ...REPORT, series: [{ at_ms: 1, errors: 900, latency: 0, promote: 500 }] }).lines.slice(0, 2).map(({ values }) => values)).toEqual([[6], [6]]);
    expect(evidenceLines({ ...REPORT, series: [] }).lines).toEqual([]);
    const alone = { ...REPORT, series: [{ at_ms: 5000, errors: 6, promote: -40 }] };
    expect(evidenceLines(alone).lines[0]!.values[0], "latency is not judged").toBeCloseTo(6 / Math.LN10);
    expect(evidenceLines(alone).lines).toHaveLength(4);
  });
  it("is drawn for both sides, with the interval of the ratio as a band", () => {
    const bin = (bad: number, total: number, others: number, all: number) => ({ canary: { events: bad, total }, control: { events: others, total: all } });
    const point = { errors: 0, promote: 0 };
    const { rates, ratio } = sideLines({
      ...REPORT,
      series: [
        { ...point, at_ms: 1000 },
        { ...point, at_ms: 5000, sides: { seen: bin(1, 10, 0, 100), ratio_low: 0 } },
        { ...point, at_ms: 10_000, sides: { seen: bin(3, 20, 10, 200), ratio_low: 0.4, ratio_high: 40 } },
        { ...point, at_ms: 15_000, sides: { seen: bin(3, 20, 10, 300), ratio_low: 0.5, ratio_high: 8 } },
      ],
    }, "Canary", "Others");
    expect(rates.times, "what was kept before has no sides").toEqual([5, 10, 15]);
    expect(rates.lines).toEqual([{ label: "Canary", values: [0.1, 0.2, null] }, { label: "Others", values: [0, 0.1, 0] }]);
    expect(ratio.lines.map(({ label }) => label)).toEqual(["ratio", "at most", "at least", "tolerated"]);
    expect(ratio.lines[0]!.values.map((value) => (value === null ? null : Number(value.toFixed(2))))).toEqual([null, 3, 4.5]);
    expect(ratio.lines[1]!.values, "what was believable at first does not press down what is believable now").toEqual([8, 8, 8]);
    expect(bandsOf(ratio.lines)).toEqual([[1, 2]]);
    expect(ratio.lines.map((_, index) => colourOf(ratio.lines, index))).toEqual([0, 0, 0, 3]);
    expect(sideLines(REPORT, "Canary", "Others").rates.lines).toEqual([]);
    expect(bandsOf(rates.lines)).toEqual([]);
  });
  it("is said with its interval and what is lacking", () => {
    expect(ratioWords(REPORT)).toBe("4.2 times as often (2.1 to 8.8)");
    expect(ratioWords({ ...REPORT, ratio_high: null })).toContain("2.1 to any number");
    expect(neededWords(REPORT)).toBe("about 6,000 more requests for a good one");
    expect(neededWords({ ...REPORT, canary_requests_needed: null })).toContain("nothing failed");
    expect([odds(Math.log(100)), odds(0), odds(99), odds(-99)]).toEqual(["100 to 1", "1 to 1", "over a million to 1", "under a millionth to 1"]);
  });
});

describe("the form of a guard", () => {
  it("lacks something until it does not", () => {
    expect(guardOf(NO_GUARD)).toBeNull();
    expect(guardOf({ ...NO_GUARD, by: "threshold", expr: "up" })).toContain("number");
    const judge = { ...NO_GUARD, by: "judge" as const, newBad: "a", newTotal: "b", oldBad: "c" };
    expect(guardOf(judge)).toContain("four counters");
    expect(guardOf({ ...judge, oldTotal: "d", tolerate: "0.5" })).toContain("1 or more");
    const guard = guardOf({ ...judge, oldTotal: "d", negligible: "0.1" });
    expect(guard).toMatchObject({ condition: { judge: { errors: { new: { bad: "a" }, old: { total: "d" } }, tolerate: 1.25, negligible: 0.001 } } });
    if (guard === null || typeof guard === "string") throw new Error("a guard");
    expect(asked(guard)).toContain("with it:    a of b");
  });
});
