import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { contrast } from "../src/lib/colour";

const css = readFileSync("src/styles/tokens.css", "utf8");

function tokens(selector: string): Record<string, string> {
  const start = css.indexOf(selector);
  const body = css.slice(css.indexOf("{", start) + 1, css.indexOf("}", start));
  return Object.fromEntries([...body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map((found) => [found[1], found[2]]));
}

const THEMES = { light: tokens(':root[data-theme="light"] {'), dark: tokens('\n:root[data-theme="dark"] {'), system: tokens(':root:not([data-theme="light"]) {') };
const TEXT = ["text", "muted", "accent", "critical", "warning", "ok", "busy", "unknown", "danger"];
const GROUNDS = ["ground", "panel", "raised"];

describe.each(Object.entries(THEMES))("tokens, %s", (_name, theme) => {
  test.each(TEXT.flatMap((ink) => GROUNDS.map((ground) => [ink, ground] as const)))("%s on %s is readable (AA)", (ink, ground) => {
    expect(contrast(theme[ink]!, theme[ground]!)).toBeGreaterThanOrEqual(4.5);
  });
  test("words on filled buttons are readable", () => {
    expect(contrast(theme["on-accent"]!, theme.accent!)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(theme["on-danger"]!, theme.danger!)).toBeGreaterThanOrEqual(4.5);
  });
  test("the edge of a control is seen", () => {
    for (const ground of GROUNDS) expect(contrast(theme.control!, theme[ground]!)).toBeGreaterThanOrEqual(3);
  });
});

test("the system's dark and the chosen dark are the same", () => {
  expect(THEMES.system).toEqual(THEMES.dark);
});
