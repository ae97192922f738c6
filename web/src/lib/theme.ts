/** The reader's choice of theme, kept on this browser; "auto" follows the system. */
import { useSyncExternalStore } from "react";
import type { Theme } from "./palette";

export type Choice = "auto" | Theme;
const KEY = "tenfold.theme";
const listeners = new Set<() => void>();
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function stored(): Choice {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    return "auto";
  }
}

let choice: Choice = stored();

function apply(): void {
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  listeners.forEach((listener) => listener());
}

export function choose(next: Choice): void {
  choice = next;
  try {
    if (next === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Storage is closed in a private window: the choice lasts as long as the page.
  }
  apply();
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};
export const themeNow = (): Theme => (choice === "auto" ? (dark.matches ? "dark" : "light") : choice);
export const useTheme = (): Theme => useSyncExternalStore(subscribe, themeNow);
export const useThemeChoice = (): Choice => useSyncExternalStore(subscribe, () => choice);

dark.addEventListener("change", () => listeners.forEach((listener) => listener()));
apply();
