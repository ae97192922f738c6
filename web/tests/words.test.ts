import { describe, expect, test } from "vitest";
import { figureText, rowsAddress } from "../src/lib/figures";
import { duration, relative } from "../src/lib/time";
import { format, plural } from "../src/lib/units";

test.each([
  [0, "0 ms"], [999, "999 ms"], [1000, "1 s"], [1500, "1.5 s"], [59_000, "59 s"], [60_000, "1 min"], [312_000, "5 min 12 s"],
  [3_600_000, "1 h"], [5_400_000, "1 h 30 min"], [86_400_000, "24 h"], [3 * 86_400_000, "3 d"], [-5, "0 ms"],
])("duration of %i ms", (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [0, "just now"], [4_000, "just now"], [30_000, "30 s ago"], [240_000, "4 min ago"], [7_200_000, "2 h ago"], [-60_000, "in 1 min"], [5 * 86_400_000, "5 d ago"],
])("%i ms before now", (ms, text) => expect(relative(1_000_000_000_000 - ms, 1_000_000_000_000)).toBe(text));

test.each([
  [1234, "ops", "1.23 k/s"], [86, "ops", "86 /s"], [0.0031, "ratio", "0.31 %"], [0.182, "seconds", "182 ms"], [0.0000123, "seconds", "12.3 µs"], [2.5, "seconds", "2.5 s"],
  [1.4 * 2 ** 30, "bytes", "1.4 GiB"], [12, "short", "12"], [1_500_000, "short", "1.5 M"], [null, "short", "no data"], [Infinity, "short", "no data"], [-3, "short", "-3"], [0, "ops", "0 /s"],
  [-300, "seconds", "-5 min"], [-1500, "ms", "-1.5 s"], [-0.3, "ms", "0 ms"], [-0.2, "seconds", "-200 ms"],
  [0.9995, "ratio", "99.95 %"], [0.99987, "ratio", "99.99 %"], [0.999996, "ratio", "99.9996 %"], [99.97, "percent", "99.97 %"], [1, "ratio", "100 %"], [0.999, "ratio", "99.9 %"],
])("%s %s", (value, unit, text) => expect(format(value, unit)).toBe(text));

test("one and many", () => {
  expect(plural(1, "deploy")).toBe("1 deploy");
  expect(plural(1200, "deploy")).toBe("1,200 deploys");
});

describe("figures", () => {
  test("no data is said, never drawn as zero", () => {
    expect(figureText({ value: null, n: 0, unit: "ratio", events: [], open: 0 })).toBe("no data");
    expect(figureText(undefined)).toBe("no data");
  });
  test("each unit in its words", () => {
    expect(figureText({ value: 0.031, n: 4, unit: "ratio", events: [], open: 0 })).toBe("3.1 %");
    expect(figureText({ value: 312_000, n: 4, unit: "ms", events: [], open: 0 })).toBe("5 min 12 s");
    expect(figureText({ value: 67, n: 67, unit: "count", events: [], open: 0 })).toBe("67");
  });
  test("the address has the rows it was counted from, newest kept", () => {
    const events = Array.from({ length: 150 }, (_, index) => index + 1);
    const address = rowsAddress("Fail rate", { value: 1, n: 150, unit: "ratio", events, open: 0 });
    expect(address).toContain("rows=51,52");
    expect(address).toContain("about=Fail%20rate");
  });
});
