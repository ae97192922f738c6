import { describe, expect, it } from "vitest";
import { conditionWords, figure } from "../src/pages/flags/Guard";
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
