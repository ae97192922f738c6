/** Short outcomes ("Deploy 14 is queued"), read out by screen readers, gone by themselves unless something failed. */
import { useSyncExternalStore } from "react";
import type { Look } from "../lib/status";

export interface Toast {
  id: number;
  look: Look;
  text: string;
  advice?: string | undefined;
}

const SHOWN_MS = 6_000;
const TOASTS_MAX = 3;
let toasts: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(list: Toast[]): void {
  toasts = list;
  listeners.forEach((listener) => listener());
}

export function dismiss(id: number): void {
  set(toasts.filter((toast) => toast.id !== id));
}

export function say(look: Look, text: string, advice?: string): void {
  const id = next++;
  set([...toasts, { id, look, text, advice }].slice(-TOASTS_MAX));
  if (look !== "critical") window.setTimeout(() => dismiss(id), SHOWN_MS);
}

export const useToasts = (): Toast[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
