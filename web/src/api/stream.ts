/** The record live: one connection for the whole page, shared by all who listen. While it is down, listeners are told to ask again every few seconds. */
import type { RecordEvent } from "./types";

export type Liveness = "connecting" | "live" | "polling";

const POLL_MS = 5_000;
const RECONNECT_MS = 3_000;
/**
 * A browser gives one server six connections over HTTP/1.1, and a stream takes one for good. So a tab that nobody sees lets
 * go of its stream after a while and catches up when it is seen again.
 */
const HIDDEN_MS = 10_000;

class LiveStream {
  private source: EventSource | null = null;
  private state: Liveness = "connecting";
  private readonly events = new Set<(event: RecordEvent) => void>();
  private readonly states = new Set<() => void>();
  private readonly polls = new Set<() => void>();
  private pollTimer: number | undefined;
  private hiddenTimer: number | undefined;
  private wanted = false;

  open(): void {
    if (!this.wanted) document.addEventListener("visibilitychange", this.seen);
    this.wanted = true;
    this.connect();
  }

  close(): void {
    this.wanted = false;
    document.removeEventListener("visibilitychange", this.seen);
    window.clearTimeout(this.hiddenTimer);
    this.disconnect();
  }

  private readonly seen = (): void => {
    window.clearTimeout(this.hiddenTimer);
    if (document.visibilityState === "hidden") {
      this.hiddenTimer = window.setTimeout(() => this.disconnect(), HIDDEN_MS);
    } else if (!this.source) {
      this.connect();
      this.polls.forEach((poll) => poll());
    }
  };

  private connect(): void {
    if (this.source || !this.wanted) return;
    const source = new EventSource("/api/stream");
    this.source = source;
    source.onopen = () => this.set("live");
    source.addEventListener("event", (message: MessageEvent<string>) => {
      const event = JSON.parse(message.data) as RecordEvent;
      this.events.forEach((listener) => listener(event));
    });
    source.onerror = () => {
      this.set("polling");
      if (source.readyState === EventSource.CLOSED) {
        this.source = null;
        window.setTimeout(() => this.connect(), RECONNECT_MS);
      }
    };
  }

  private disconnect(): void {
    this.source?.close();
    this.source = null;
    this.set("connecting");
  }

  private set(state: Liveness): void {
    if (state === this.state) return;
    const wasDown = this.state === "polling";
    this.state = state;
    window.clearInterval(this.pollTimer);
    if (state === "polling") this.pollTimer = window.setInterval(() => this.polls.forEach((poll) => poll()), POLL_MS);
    if (state === "live" && wasDown) this.polls.forEach((poll) => poll());
    this.states.forEach((listener) => listener());
  }

  readonly liveness = (): Liveness => this.state;
  readonly onState = (listener: () => void): (() => void) => {
    this.states.add(listener);
    return () => this.states.delete(listener);
  };
  readonly onEvent = (listener: (event: RecordEvent) => void): (() => void) => {
    this.events.add(listener);
    return () => this.events.delete(listener);
  };
  readonly onPoll = (listener: () => void): (() => void) => {
    this.polls.add(listener);
    return () => this.polls.delete(listener);
  };
}

export const stream = new LiveStream();
