import { act } from "react";
import type { ReactElement } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError, get } from "../src/api/http";
import { stream } from "../src/api/stream";
import { useQuery } from "../src/api/useQuery";
import { ActionButton } from "../src/ui/Action";
import { Status } from "../src/ui/basics";
import { Loaded } from "../src/ui/Section";
import { box, mountEach, pass, render } from "./mount";

/** A stand-in for the browser's EventSource that the test speaks through. */
class FakeSource extends EventTarget {
  static last: FakeSource;
  static CLOSED = 2;
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  constructor() {
    super();
    FakeSource.last = this;
  }
  close(): void {
    this.readyState = 2;
  }
  say(kind: string): void {
    this.dispatchEvent(new MessageEvent("event", { data: JSON.stringify({ seq: 1, kind }) }));
  }
}

mountEach();
beforeEach(() => {
  vi.stubGlobal("EventSource", FakeSource);
  vi.useFakeTimers();
});
afterEach(() => stream.close());

function Counter({ fetcher }: { fetcher: () => Promise<number> }): ReactElement {
  const query = useQuery("counter", fetcher, { touches: ["deploy."] });
  return <Loaded query={query}>{(n) => <b>{n}</b>}</Loaded>;
}

test("an event asks again for what it touches, a burst of them once", async () => {
  stream.open();
  let n = 0;
  const fetcher = vi.fn(async () => ++n);
  await render(<Counter fetcher={fetcher} />);
  expect(box.textContent).toBe("1");
  for (let index = 0; index < 6; index += 1) FakeSource.last.say("deploy.host_activated");
  FakeSource.last.say("flag.switched");
  await pass(1000);
  expect(fetcher).toHaveBeenCalledTimes(2);
  expect(box.textContent).toBe("2");
  FakeSource.last.say("flag.switched");
  await pass(1000);
  expect(fetcher).toHaveBeenCalledTimes(2);
});

test("while the stream is down the page asks by itself, and once more when it is back", async () => {
  stream.open();
  const source = FakeSource.last;
  source.onopen?.();
  const fetcher = vi.fn(async () => 1);
  await render(<Counter fetcher={fetcher} />);
  source.onerror?.();
  expect(stream.liveness()).toBe("polling");
  await pass(5_500);
  expect(fetcher).toHaveBeenCalledTimes(2);
  source.onopen?.();
  await pass(500);
  expect(fetcher).toHaveBeenCalledTimes(3);
  await pass(20_000);
  expect(fetcher).toHaveBeenCalledTimes(3);
});

test("a tab nobody sees lets go of its connection, and catches up when it is seen", async () => {
  stream.open();
  const source = FakeSource.last;
  source.onopen?.();
  const fetcher = vi.fn(async () => 1);
  await render(<Counter fetcher={fetcher} />);
  const state = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(5_000);
  expect(source.readyState).not.toBe(FakeSource.CLOSED);
  await pass(6_000);
  expect(source.readyState).toBe(FakeSource.CLOSED);
  state.mockReturnValue("visible");
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(500);
  expect(FakeSource.last).not.toBe(source);
  expect(fetcher).toHaveBeenCalledTimes(2);
});

test("a failed refresh keeps the last answer and says what is wrong and what to do", async () => {
  stream.open();
  let broken = false;
  await render(<Counter fetcher={async () => {
    if (broken) throw new ApiError(503, "unavailable", "The store is closed.", "Start it again.");
    return 7;
  }} />);
  broken = true;
  FakeSource.last.say("deploy.queued");
  await pass(500);
  expect(box.querySelector("[role=alert]")?.textContent).toContain("The store is closed.");
  expect(box.querySelector("[role=alert]")?.textContent).toContain("Start it again.");
  expect(box.querySelector("b")?.textContent).toBe("7");
});

test("a disabled action does nothing and tells why", async () => {
  const click = vi.fn();
  await render(<ActionButton onClick={click} why="Deploy 12 is under way.">Deploy</ActionButton>);
  const button = box.querySelector("button")!;
  await act(async () => button.click());
  expect(click).not.toHaveBeenCalled();
  expect(button.getAttribute("aria-disabled")).toBe("true");
  expect(document.getElementById(button.getAttribute("aria-describedby")!)?.textContent).toBe("Deploy 12 is under way.");
  await render(<ActionButton onClick={click}>Deploy</ActionButton>);
  await act(async () => button.click());
  expect(click).toHaveBeenCalledTimes(1);
});

test("a status is a shape, a colour and a word", async () => {
  await render(<Status look="critical">Critical</Status>);
  expect(box.textContent).toBe("▲Critical");
  expect(box.querySelector(".look-critical")).not.toBeNull();
});

test("a refusal carries the server's sentence and advice", async () => {
  vi.stubGlobal("fetch", vi.fn(async () => new Response(JSON.stringify({ error: { code: "forbidden", message: "you may not deploy photos", advice: "ask an administrator" } }), { status: 403 })));
  await expect(get("/api/deploys")).rejects.toMatchObject({ status: 403, code: "forbidden", message: "You may not deploy photos.", advice: "Ask an administrator." });
});

test("a proxy's page instead of JSON still makes one sentence", async () => {
  vi.stubGlobal("fetch", vi.fn(async () => new Response("<html>", { status: 502, statusText: "Bad Gateway" })));
  await expect(get("/api/deploys")).rejects.toMatchObject({ status: 502, message: "The server answered 502 Bad Gateway." });
});

test("a small button that cannot be pressed says why to a finger, too", async () => {
  const press = vi.fn();
  await render(<ActionButton tight why="You are no admin." onClick={press}>Delete</ActionButton>);
  const why = (): string | undefined => [...box.querySelectorAll("span.why")][0]?.textContent ?? undefined;
  expect(why()).toBeUndefined();
  await act(async () => box.querySelector("button")?.click());
  expect(why()).toBe("You are no admin.");
  expect(press).not.toHaveBeenCalled();
});
