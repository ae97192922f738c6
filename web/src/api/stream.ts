/** The record live: one connection for the whole page, shared by all who listen. While it is down, listeners are told to ask again every few seconds. */
import type { RecordEvent } from "./types";

export type Liveness = "connecting" | "live" | "polling";

const POLL_MS = 5_000;
const RECONNECT_MS = 3_000;

class LiveStream {
  private source: EventSource | null = null;
  private state: Liveness = "connecting";
  private readonly events = new Set<(event: RecordEvent) => void>();
  private readonly states = new Set<() => void>();
  private readonly polls = new Set<() => void>();
  private pollTimer: number | undefined;

  open(): void {
    if (this.source) return;
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
        window.setTimeout(() => this.open(), RECONNECT_MS);
      }
    };
  }

  close(): void {
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
