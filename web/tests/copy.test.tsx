import { act } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { Copy } from "../src/ui/basics";
import { box, mountEach, pass, render } from "./mount";

mountEach();
afterEach(() => Reflect.deleteProperty(navigator, "clipboard"));

const clipboard = (value: unknown): unknown => Object.defineProperty(navigator, "clipboard", { value, configurable: true });

test.each([
  ["takes it", { writeText: async () => undefined }, "Copied"],
  ["refuses", { writeText: async () => Promise.reject(new DOMException("denied", "NotAllowedError")) }, "The browser does not let it"],
  ["has no clipboard", undefined, "The browser does not let it"],
])("a copy is said where the browser %s", async (_, has, said) => {
  vi.useFakeTimers();
  clipboard(has);
  await render(<Copy text="x" />);
  await act(async () => box.querySelector("button")!.click());
  expect(box.textContent).toBe(said);
  await pass(2_000);
  expect(box.textContent).toBe("Copy");
});
