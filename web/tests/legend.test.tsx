import { act } from "react";
import { beforeEach, expect, it, test, vi } from "vitest";
import { Chart } from "../src/charts/Chart";
import { alone, stillPicked, toggled } from "../src/charts/picks";
import type { Line } from "../src/charts/summary";
import { box, mountEach, render } from "./mount";

/** What is on the canvas, which is not there: the names of the lines with a value. */
let drawn: string[] = [];
vi.mock("../src/charts/Plot", () => ({
  Plot: ({ lines }: { lines: Line[] }) => {
    drawn = lines.filter(({ values }) => values.some((value) => value !== null)).map(({ label }) => label);
    return null;
  },
}));

const LINES: Line[] = [...["a", "b", "c"].map((label): Line => ({ label, values: [1, 2] })), { label: "most", limit: true, values: [3, 3] }];

mountEach();
beforeEach(() => {
  drawn = [];
});

const show = (lines = LINES, detailed = true): Promise<void> =>
  render(<Chart title="T" unit="short" times={[0, 1]} lines={lines} markers={[]} rangeText="" detailed={detailed} />);
const line = (label: string): HTMLElement => [...box.querySelectorAll<HTMLElement>("td button, .picks li")].find(({ textContent }) => textContent?.startsWith(label))!;
const click = (label: string, keys: MouseEventInit = {}): Promise<void> => act(async () => void line(label).dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ...keys })));
const pressed = (): string[] => [...box.querySelectorAll("td button[aria-pressed=true]")].map(({ textContent }) => textContent ?? "");

test("a press draws a line alone, with Ctrl or ⌘ it hides or shows one more", async () => {
  await show();
  expect(drawn).toEqual(["a", "b", "c", "most"]);
  await click("b");
  expect([drawn, pressed()]).toEqual([["b", "most"], ["b"]]);
  await click("c", { ctrlKey: true });
  expect([drawn, pressed()]).toEqual([["b", "c", "most"], ["b", "c"]]);
  await click("b", { metaKey: true });
  expect(drawn).toEqual(["c", "most"]);
  await click("c");
  expect([drawn, pressed()]).toEqual([["a", "b", "c", "most"], []]);
  await click("a", { ctrlKey: true });
  expect(drawn).toEqual(["b", "c", "most"]);
  await click("b");
  expect(drawn).toEqual(["b", "most"]);
});

test("the short legend is pressed in the same way", async () => {
  await show(LINES, false);
  await click("a", { ctrlKey: true });
  expect(drawn).toEqual(["b", "c", "most"]);
  await click("most", { ctrlKey: true });
  expect(drawn).toEqual(["b", "c", "most"]);
  expect([...box.querySelectorAll(".put-back")].map(({ textContent }) => textContent)).toEqual(["a2"]);
});

test("Enter with Ctrl is such a press, once", async () => {
  await show();
  const enter = (keys: KeyboardEventInit): KeyboardEvent => new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...keys });
  const [held, plain] = [enter({ ctrlKey: true }), enter({})];
  await act(async () => void line("a").dispatchEvent(held));
  expect([drawn, held.defaultPrevented]).toEqual([["b", "c", "most"], true]);
  // The browser makes a press of it.
  await act(async () => void line("b").dispatchEvent(plain));
  expect([drawn, plain.defaultPrevented]).toEqual([["b", "c", "most"], false]);
});

it("takes the choice along when a line goes, and never draws nothing", () => {
  expect(stillPicked(new Set(["b", "z"]), LINES)).toEqual(new Set(["b"]));
  expect([stillPicked(new Set(["z"]), LINES), toggled(new Set(["a"]), "a", LINES), toggled(new Set(["a", "c"]), "b", LINES), alone(new Set(["a"]), "a")]).toEqual([null, null, null, null]);
});
