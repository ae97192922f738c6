/** Where the reader is: all state of a page is in its address. */
import { useCallback, useMemo, useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
const changed = (): void => listeners.forEach((listener) => listener());
window.addEventListener("popstate", changed);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const here = location.pathname + location.search + location.hash;
  if (to === here) return;
  if (options.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  changed();
}

export const usePath = (): string => useSyncExternalStore(subscribe, () => location.pathname);
const useSearch = (): string => useSyncExternalStore(subscribe, () => location.search);

/** What an address is given: a list stands as the same name several times. */
export type Changes = Record<string, string | string[] | null>;

/** The address's question with changes: names set to "", null or an empty list are dropped. */
export function searchWith(changes: Changes): string {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    params.delete(name);
    for (const one of typeof value === "string" ? [value] : (value ?? [])) if (one !== "") params.append(name, one);
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

/** A new address of the same page. */
export const addressWith = (changes: Changes): string => location.pathname + searchWith(changes);

export interface Params {
  get: (name: string, otherwise?: string) => string;
  all: (name: string) => string[];
  set: (changes: Changes, replace?: boolean) => void;
}

export function useParams(): Params {
  const search = useSearch();
  const params = useMemo(() => new URLSearchParams(search), [search]);
  const get = useCallback((name: string, otherwise = "") => params.get(name) ?? otherwise, [params]);
  const all = useCallback((name: string) => params.getAll(name), [params]);
  const set = useCallback((changes: Changes, replace = true) => {
    navigate(addressWith(changes), { replace });
  }, []);
  return useMemo(() => ({ get, all, set }), [get, all, set]);
}

/** `/deploys/:number` against `/deploys/12` gives `{ number: "12" }`; null when it does not match. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = path.replace(/(.)\/+$/, "$1").split("/");
  if (wanted.length !== given.length) return null;
  const values: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const actual = given[index] ?? "";
    if (part.startsWith(":")) {
      if (actual === "") return null;
      try {
        values[part.slice(1)] = decodeURIComponent(actual);
      } catch {
        return null;
      }
    } else if (part !== actual) return null;
  }
  return values;
}
