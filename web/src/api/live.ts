/**
 * Queries followed live: one stream for all graphs of the page. While it is down, or refused, graphs ask by themselves; when it is
 * back they are told to ask for what they missed.
 */
import { failure, signedOut } from "./http";
import { laidOut, type RangeResult, type RawSeries } from "./promql";
import { EventReader, type ServerEvent } from "./sse";

/** What the server takes in one stream; further queries are asked from time to time. */
const QUERIES_MAX = 128;
const EXPR_BYTES_MAX = 4_096;
/** Panels come one after the other: one question for all of them. */
const GATHER_MS = 150;
const RECONNECT_MS = 3_000;
/** After a refusal: the server is full, or of an older version. */
const REFUSED_MS = 60_000;
/** Three heartbeats. */
const SILENCE_MS = 45_000;
/** As long as the record's stream: a connection is dear, see `stream.ts`. */
const HIDDEN_MS = 10_000;

/** The newest steps of a query; the last of them may be told again. */
export interface News {
  /** Seconds, both inclusive. */
  from: number;
  to: number;
  /** Points before `from` were not sent. */
  missed: boolean;
  points: RangeResult;
}

export interface Follower {
  news: (news: News) => void;
  /** The stream was away and is back. */
  back: () => void;
}

interface Query {
  expr: string;
  step: number;
  followers: Set<Follower>;
}

const keyOf = (expr: string, step: number): string => `${step}\t${expr}`;

class LiveQueries {
  private readonly queries = new Map<string, Query>();
  private readonly states = new Set<() => void>();
  /** The keys that are being told. */
  private live = new Set<string>();
  private current: AbortController | null = null;
  private timer: number | undefined;
  private silence: number | undefined;
  private hidden: number | undefined;
  private wasAway = false;

  /** Follows a query from its next step on, until what is returned is called. */
  follow(expr: string, step: number, follower: Follower): () => void {
    const key = keyOf(expr, step);
    const query = this.queries.get(key) ?? { expr, step, followers: new Set() };
    if (this.queries.size === 0) document.addEventListener("visibilitychange", this.seen);
    if (!this.queries.has(key)) {
      this.queries.set(key, query);
      this.connectIn(GATHER_MS);
    }
    query.followers.add(follower);
    return () => {
      query.followers.delete(follower);
      if (query.followers.size > 0 || this.queries.get(key) !== query) return;
      this.queries.delete(key);
      this.live.delete(key);
      if (this.queries.size === 0) this.rest();
      else this.connectIn(GATHER_MS);
    };
  }

  readonly isLive = (expr: string, step: number): boolean => this.live.has(keyOf(expr, step));
  readonly onState = (listener: () => void): (() => void) => {
    this.states.add(listener);
    return () => this.states.delete(listener);
  };

  /** Nobody follows anything, so nobody misses anything. */
  private rest(): void {
    this.wasAway = false;
    document.removeEventListener("visibilitychange", this.seen);
    window.clearTimeout(this.hidden);
    this.disconnect();
  }

  private readonly seen = (): void => {
    window.clearTimeout(this.hidden);
    if (document.visibilityState === "hidden") {
      this.hidden = window.setTimeout(() => {
        this.disconnect();
        this.wasAway = true;
        this.say([]);
      }, HIDDEN_MS);
    } else if (!this.current) this.connectIn(0);
  };

  private disconnect(): void {
    window.clearTimeout(this.timer);
    window.clearTimeout(this.silence);
    this.current?.abort();
    this.current = null;
  }

  private connectIn(ms: number): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.connect(), ms);
  }

  private say(live: string[]): void {
    this.live = new Set(live);
    this.states.forEach((listener) => listener());
  }

  private async connect(): Promise<void> {
    this.disconnect();
    const fit = [...this.queries].filter(([, { expr }]) => new TextEncoder().encode(expr).length <= EXPR_BYTES_MAX).slice(0, QUERIES_MAX);
    if (fit.length === 0) return;
    // Seen again, it connects.
    if (document.visibilityState === "hidden") {
      this.wasAway = true;
      this.say([]);
      return;
    }
    const mine = new AbortController();
    this.current = mine;
    let again = RECONNECT_MS;
    try {
      this.listenFor(mine);
      const question = { queries: fit.map(([, { expr, step }]) => ({ query: expr, step_ms: Math.round(step * 1000) })) };
      const response = await fetch("/api/metrics/live", {
        method: "POST", credentials: "same-origin", headers: { "content-type": "application/json" }, body: JSON.stringify(question), signal: mine.signal,
      });
      if (!response.ok || !response.body) {
        if (response.status === 401) signedOut();
        again = REFUSED_MS;
        throw failure(response, undefined);
      }
      await this.listen(response.body, mine, fit);
    } catch {
      // Whatever it was, the graphs ask by themselves until it is over.
    }
    // A newer connection is in place, or none is wanted.
    if (this.current !== mine) return;
    this.disconnect();
    this.wasAway = true;
    this.say([]);
    this.connectIn(again);
  }

  /** Takes silence for a connection that is dead. */
  private listenFor(mine: AbortController): void {
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => mine.abort(), SILENCE_MS);
  }

  private async listen(body: ReadableStream<Uint8Array>, mine: AbortController, asked: [string, Query][]): Promise<void> {
    const pieces = body.getReader();
    const decoder = new TextDecoder();
    const events = new EventReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done || this.current !== mine) return;
      this.listenFor(mine);
      events.read(decoder.decode(value, { stream: true })).forEach((event) => this.take(event, asked));
    }
  }

  private take({ name, data }: ServerEvent, asked: [string, Query][]): void {
    if (name === "ready") {
      this.say(asked.map(([key]) => key));
      if (this.wasAway) this.queries.forEach(({ followers }) => followers.forEach((follower) => follower.back()));
      this.wasAway = false;
      return;
    }
    if (name !== "points" && name !== "fault") return;
    const told = JSON.parse(data) as { query: number; missed: boolean; from: number; to: number; result: RawSeries[] };
    const [key, query] = asked[told.query] ?? [];
    if (key === undefined || query === undefined || this.queries.get(key) !== query) return;
    // What the stream cannot tell (it has too many series, say) its graphs ask by themselves, until it is told again.
    const isTold = name === "points";
    if (isTold !== this.live.has(key)) {
      if (isTold) this.live.add(key);
      else this.live.delete(key);
      this.states.forEach((listener) => listener());
    }
    if (!isTold) return;
    const { from, to, missed } = told;
    const news: News = { from, to, missed, points: laidOut(told.result, { from, to, step: query.step }) };
    query.followers.forEach((follower) => follower.news(news));
  }
}

export const liveQueries = new LiveQueries();
