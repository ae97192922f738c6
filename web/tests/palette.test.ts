import { describe, expect, test } from "vitest";
import { contrast, distance, SIGHTS } from "../src/lib/colour";
import { SERIES, type Theme } from "../src/lib/palette";

const GROUND: Record<Theme, string> = { light: "#ffffff", dark: "#0f1419" };
const CONTRAST_MIN = 3;
const DISTANCE_MIN = 0.13;

describe.each(["light", "dark"] as const)("series colours, %s", (theme) => {
  const colours = SERIES[theme];

  test.each(colours)("%s stands out from the ground", (colour) => {
    expect(contrast(colour, GROUND[theme])).toBeGreaterThanOrEqual(CONTRAST_MIN);
  });

  test.each(SIGHTS)("are told apart with %s sight", (sight) => {
    const pairs = colours.flatMap((a, i) => colours.slice(i + 1).map((b) => ({ a, b, d: distance(a, b, sight) })));
    const nearest = pairs.reduce((least, pair) => (pair.d < least.d ? pair : least));
    expect(nearest.d, `${nearest.a} and ${nearest.b}`).toBeGreaterThanOrEqual(DISTANCE_MIN);
  });
});

test("the sums are right where the answer is known", () => {
  expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 5);
  expect(distance("#315FCF", "#315FCF", "protan")).toBe(0);
  expect(distance("#000000", "#ffffff", "normal")).toBeCloseTo(1, 2);
});
