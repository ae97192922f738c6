import { describe, expect, it, test } from "vitest";
import { distinct, stepsOf, timeLabels, valueLabels } from "../src/charts/ticks";
import { format } from "../src/lib/units";

const every = (step: number, count: number): number[] => Array.from({ length: count }, (_, at) => at * step);

describe("an axis of durations", () => {
  it("is divided as clocks are", () => {
    const steps = stepsOf("seconds")!;
    for (const step of [0.001, 0.05, 1, 15, 30, 60, 300, 900, 3600, 21_600, 86_400, 7 * 86_400 - 2 * 86_400]) expect(steps).toContain(step);
    for (const step of [20, 50, 100, 500, 1000, 2500, 50_000]) expect(steps).not.toContain(step);
    expect([...steps].sort((a, b) => a - b)).toEqual(steps);
    expect(stepsOf("ms")).toContain(300_000);
    expect(stepsOf("short")).toBeUndefined();
  });
  it("says each whole", () => {
    expect(valueLabels(every(30, 5), "seconds", 30)).toEqual(["0 s", "30 s", "1 min", "1 min 30 s", "2 min"]);
    expect(valueLabels([36_000, 37_800, 39_600], "seconds", 1800)).toEqual(["10 h", "10 h 30 min", "11 h"]);
    expect(valueLabels([-43_200, 0, 43_200, 129_600], "seconds", 43_200)).toEqual(["-12 h", "0 s", "12 h", "1 d 12 h"]);
    expect(valueLabels([0, 300_000], "ms", 300_000)).toEqual(["0 s", "5 min"]);
    expect(valueLabels([0, 0.05, 0.1], "seconds", 0.05)).toEqual(["0 s", "50 ms", "100 ms"]);
    expect(valueLabels([300, 300.2, 300.4], "seconds", 0.2)).toEqual(["300.0 s", "300.2 s", "300.4 s"]);
  });
  it("has no two of the same label at any step", () => {
    for (const unit of ["seconds", "ms"]) {
      for (const step of stepsOf(unit)!) {
        const labels = valueLabels(every(step, 12), unit, step);
        expect(new Set(labels).size, `${unit} ${step}: ${labels.join(", ")}`).toBe(12);
      }
    }
  });
});

test("an axis that begins far above its steps tells them apart, in any unit", () => {
  const label = (unit: string, splits: number[]): string[] => valueLabels(splits, unit, splits[1]! - splits[0]!);
  expect(label("short", [1_000_000, 1_000_200, 1_000_400])).toEqual(["1.0000 M", "1.0002 M", "1.0004 M"]);
  expect(label("ratio", [0.9991, 0.9992, 0.9993])).toEqual(["99.91 %", "99.92 %", "99.93 %"]);
  expect(label("short", [0, 200, 400])).toEqual(["0", "200", "400"]);
  expect(distinct([1, null, 10], (value, decimals) => format(value, "short", decimals))).toEqual(["1", "", "10"]);
});

test("an axis of dates says days or years", () => {
  const at = Date.UTC(2026, 10, 20, 12) / 1000;
  expect(valueLabels([at, at + 86_400], "date", 86_400)).toEqual(timeLabels([at, at + 86_400], 86_400));
  expect(valueLabels([at, at + 400 * 86_400], "date", 500 * 86_400)).toEqual(["2026", "2027"]);
});
