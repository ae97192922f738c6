/** One component on an otherwise empty page. What a test stubs, fakes or spies on is its own; it is undone here, after its last render. */
import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import type { ReactElement } from "react";
import { afterEach, beforeEach, vi } from "vitest";
import { forgetAll } from "../src/api/useQuery";

let root: Root;
/** What is rendered stands in it; each test has a new one. */
export let box: HTMLElement;

/** Gives each test of the file a page of its own. A test file's own `afterEach` runs while its component is still there. */
export function mountEach(): void {
  beforeEach(() => {
    vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
    forgetAll();
    box = document.createElement("div");
    document.body.append(box);
    root = createRoot(box);
  });
  afterEach(async () => {
    await act(async () => root.unmount());
    box.remove();
    vi.restoreAllMocks();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
}

export const render = (element: ReactElement): Promise<void> => act(async () => root.render(element));

/** As when somebody loads the page anew: nothing is rendered and no answer is remembered. */
export async function reload(): Promise<void> {
  forgetAll();
  await act(async () => root.unmount());
  root = createRoot(box);
}

/** Lets so much of the faked time pass. */
export const pass = (ms: number): Promise<void> => act(async () => void (await vi.advanceTimersByTimeAsync(ms)));
