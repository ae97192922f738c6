/**
 * What the pages know of the server: answers kept by key, asked again when an event touches them.
 * Never holds anything the server did not say; a failed refresh keeps the last answer and says so.
 */
import { useCallback, useEffect, useSyncExternalStore } from "react";
import { ApiError } from "./http";
import { stream } from "./stream";

export interface QueryState<T> {
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
}

interface Entry {
  state: QueryState<unknown>;
  fetcher: () => Promise<unknown>;
  touches: readonly string[];
  listeners: Set<() => void>;
  running: boolean;
  again: boolean;
  timer: number | undefined;
  /** When the timer goes off. */
  due: number;
  /** When it went off last. */
  wentOff: number;
  at: number;
  tookMs: number;
  /** How often in a row an answer was a failure that may pass. */
  failed: number;
}

/** A burst of events (six hosts activating) causes one request, not six. */
const COALESCE_MS = 150;
/** However many events come, an answer is asked for once in so long for them; the first of them is heard soon. */
const EVENTS_MS = 1_000;
/** Entries nobody looks at are forgotten beyond this count. */
const IDLE_MAX = 60;
const FRESH_MS = 2_000;
/** An answer that takes long is asked for less often: the server rests so many times as long as it took, up to the limit. */
const REST_FACTOR = 4;
const REST_MS_MAX = 10_000;
/** So long after a failure that may pass by itself the same is asked again. */
const RETRY_MS = 10_000;
/** What answers, and goes on to fail, is asked half as often each time, down to this. */
const RETRY_MS_MAX = 5 * 60_000;
/** Of what stands in front of the server, or of a server that has no room. */
const PASSING = [502, 503, 504];

const entries = new Map<string, Entry>();
const EMPTY: QueryState<unknown> = { data: undefined, error: undefined, loading: true };

/** Nothing else may ask again: not everything is touched by events, or asked on an interval. */
function retry(entry: Entry): void {
  const { error } = entry.state;
  const answered = error !== undefined && error.code !== "unreachable";
  // A question that took too long would take as long again.
  if (!error || error.code === "timeout" || (answered && !PASSING.includes(error.status))) {
    entry.failed = 0;
    return;
  }
  entry.wentOff = Date.now();
  schedule(entry, answered ? Math.min(RETRY_MS * 2 ** entry.failed, RETRY_MS_MAX) : RETRY_MS);
  entry.failed = answered ? entry.failed + 1 : 0;
}

async function run(entry: Entry): Promise<void> {
  if (entry.running) {
    entry.again = true;
    return;
  }
  entry.running = true;
  const asked = Date.now();
  try {
    const data = await entry.fetcher();
    entry.state = { data, error: undefined, loading: false };
  } catch (error) {
    const known = error instanceof ApiError ? error : new ApiError(0, "page", String(error), "Reload the page.");
    entry.state = { data: entry.state.data, error: known, loading: false };
  }
  entry.at = Date.now();
  entry.tookMs = entry.at - asked;
  entry.running = false;
  entry.listeners.forEach((listener) => listener());
  retry(entry);
  if (entry.again) {
    entry.again = false;
    schedule(entry, EVENTS_MS);
  }
}

/** Asks again soon, but not within `apartMs` of when it did so before. */
function schedule(entry: Entry, apartMs = 0): void {
  const now = Date.now();
  const due = now + Math.max(COALESCE_MS, Math.min(REST_FACTOR * entry.tookMs, REST_MS_MAX), entry.wentOff + apartMs - now);
  if (entry.timer !== undefined) {
    if (entry.due <= due) return;
    window.clearTimeout(entry.timer);
  }
  entry.due = due;
  entry.timer = window.setTimeout(() => {
    entry.timer = undefined;
    entry.wentOff = Date.now();
    if (entry.listeners.size > 0) void run(entry);
    else entry.at = 0;
  }, due - now);
}

function forgetIdle(): void {
  if (entries.size <= IDLE_MAX) return;
  for (const [key, entry] of entries) {
    if (entry.listeners.size === 0) entries.delete(key);
    if (entries.size <= IDLE_MAX) return;
  }
}

/** Asks again for everything an event of this kind touches. */
export function touch(kind: string): void {
  for (const entry of entries.values()) {
    if (entry.touches.some((prefix) => kind.startsWith(prefix))) schedule(entry, EVENTS_MS);
  }
}

/** Asks again for the answers whose key starts so. */
export function refresh(prefix: string): void {
  for (const [key, entry] of entries) if (key.startsWith(prefix)) schedule(entry);
}

/** Changes an answer as something that was told of it says; the same answer back changes nothing. */
export function amend<T>(key: string, change: (data: T) => T): void {
  const entry = entries.get(key);
  if (!entry || entry.state.data === undefined) return;
  const data = change(entry.state.data as T);
  if (data === entry.state.data) return;
  entry.state = { ...entry.state, data, error: undefined };
  entry.listeners.forEach((listener) => listener());
}

/** What nobody looks at any more was told to somebody who has left. */
export function forgetUnwatched(): void {
  for (const [key, entry] of entries) if (entry.listeners.size === 0) entries.delete(key);
}

export function forgetAll(): void {
  entries.clear();
}

stream.onEvent((event) => touch(event.kind));
stream.onPoll(() => entries.forEach((entry) => entry.touches.length > 0 && schedule(entry)));

export interface QueryOptions {
  /** Prefixes of event kinds after which the answer is stale. */
  touches?: readonly string[];
  /** Also ask every so many milliseconds while somebody looks. */
  everyMs?: number;
}

/** `key` names the question completely; null asks nothing. */
export function useQuery<T>(key: string | null, fetcher: () => Promise<T>, options: QueryOptions = {}): QueryState<T> & { reload: () => void } {
  const { touches = [], everyMs } = options;

  const subscribe = useCallback(
    (listener: () => void) => {
      if (key === null) return () => undefined;
      let entry = entries.get(key);
      if (!entry) {
        entry = { state: EMPTY, fetcher, touches, listeners: new Set(), running: false, again: false, timer: undefined, due: 0, wentOff: 0, at: 0, tookMs: 0, failed: 0 };
        entries.set(key, entry);
        forgetIdle();
      }
      const held = entry;
      held.fetcher = fetcher;
      held.listeners.add(listener);
      if (!held.running && Date.now() - held.at > FRESH_MS) void run(held);
      return () => held.listeners.delete(listener);
    },
    // The key says all there is to say about the fetcher and its touches.
    [key],
  );

  const state = useSyncExternalStore(subscribe, () => (key === null ? EMPTY : (entries.get(key)?.state ?? EMPTY)));

  useEffect(() => {
    if (key === null || !everyMs) return undefined;
    const timer = window.setInterval(() => {
      const entry = entries.get(key);
      if (entry && document.visibilityState === "visible") void run(entry);
    }, everyMs);
    return () => window.clearInterval(timer);
  }, [key, everyMs]);

  const reload = useCallback(() => {
    const entry = key === null ? undefined : entries.get(key);
    if (entry) void run(entry);
  }, [key]);

  return { ...(state as QueryState<T>), reload };
}
