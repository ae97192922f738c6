/** Pages in the browser: what the service worker shows and does, and what a browser tells the server of itself. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { idOf, keyBytes, nameOf, subscribe, whyNot } from "../src/lib/push";
import { contactOf, defaultRules, formOf } from "../src/pages/settings/reach";

const ORIGIN = "https://tenfold.example.org";
const source = readFileSync(join(process.cwd(), "public/sw.js"), "utf8");

interface Shown { title: string; options: Record<string, unknown> & { data: { place: string; incident: number | null } } }

const acknowledgement = "/api/incidents/3/acknowledge";

/** A service worker in a browser that only remembers. */
class Worker {
  readonly shown: Shown[] = [];
  readonly opened: string[] = [];
  readonly asked: { url: string; init: RequestInit | undefined }[] = [];
  windows: { url: string; focus: () => Promise<string> }[] = [];
  answers: Record<string, () => Promise<{ ok: boolean; json?: () => Promise<unknown> }>> = {};
  /** Whether the browser lets it open a page. */
  opens = true;
  private readonly listeners = new Map<string, (event: object) => void>();

  constructor() {
    this.signIn("ana");
    this.answers[acknowledgement] = () => Promise.resolve({ ok: true, json: () => Promise.resolve({ already: false, acknowledged_by: "ana", acknowledged_by_name: "Ana Silva" }) });
    const self = {
      location: { origin: ORIGIN },
      addEventListener: (name: string, listener: (event: object) => void) => void this.listeners.set(name, listener),
      skipWaiting: () => undefined,
      clients: {
        claim: () => Promise.resolve(),
        matchAll: () => Promise.resolve(this.windows),
        openWindow: (url: string) => (this.opens ? Promise.resolve(void this.opened.push(url)) : Promise.reject(new DOMException("no click", "InvalidAccessError"))),
      },
      registration: {
        showNotification: (title: string, options: Shown["options"]) => Promise.resolve(void this.shown.push({ title, options })),
        pushManager: { subscribe: () => Promise.resolve({ toJSON: () => ({ endpoint: "https://push.example.org/new", keys: { p256dh: "P", auth: "A" } }) }) },
      },
    };
    const fetching = (url: string, init?: RequestInit): Promise<unknown> => {
      this.asked.push({ url, init });
      return (this.answers[url] ?? (() => Promise.resolve({ ok: true })))();
    };
    new Function("self", "fetch", source)(self, fetching);
  }

  async tell(name: string, event: object = {}): Promise<void> {
    const waits: Promise<unknown>[] = [];
    this.listeners.get(name)?.({ ...event, waitUntil: (work: Promise<unknown>) => void waits.push(work) });
    expect(waits.length, "the browser is told to wait").toBe(1);
    await Promise.all(waits);
  }

  signIn(login: string | null): void {
    this.answers["/api/session"] = () => Promise.resolve({ ok: true, json: () => Promise.resolve({ person: login && { login } }) });
  }

  push(said: unknown): Promise<void> {
    return this.tell("push", { data: { json: () => said } });
  }

  click(action: string): Promise<void> {
    const { title, options } = this.shown[this.shown.length - 1]!;
    return this.tell("notificationclick", { action, notification: { title, tag: options.tag, data: options.data, close: () => undefined } });
  }
}

const page = {
  title: "[critical] Incident 3: photos", text: "photos answers 12 % with errors", link: `${ORIGIN}/incidents/3`,
  tag: "incident-3", incident: 3, severity: "critical", at: 1_795_424_400_000, login: "ana", open: true, silent: false,
};

describe("the service worker", () => {
  it("shows a page that stays, and can be acknowledged", async () => {
    const worker = new Worker();
    await worker.push(page);
    expect(worker.shown[0]).toMatchObject({ title: page.title, options: { body: page.text, tag: "incident-3", requireInteraction: true, renotify: true, silent: false, actions: [{ action: "acknowledge" }] } });
    await worker.click("acknowledge");
    expect(worker.asked).toMatchObject([
      { url: "/api/session", init: { credentials: "same-origin" } },
      { url: acknowledgement, init: { method: "POST", credentials: "same-origin" } },
    ]);
    expect(worker.opened).toEqual([]);
    expect(worker.shown[1]).toMatchObject({ options: { body: "Acknowledged.", tag: "incident-3", silent: true } });
  });
  it("shows news in its place, without a sound", async () => {
    const worker = new Worker();
    await worker.push({ ...page, text: "Over after 12 min", open: false, silent: true });
    expect(worker.shown[0]).toMatchObject({ options: { tag: "incident-3", renotify: false, silent: true, requireInteraction: false, actions: [] } });
  });
  it("opens the incident on a click, in the window that shows it already if there is one", async () => {
    const worker = new Worker();
    await worker.push(page);
    await worker.click("");
    expect(worker.opened).toEqual([`${ORIGIN}/incidents/3`]);
    const focus = vi.fn(() => Promise.resolve("focused"));
    worker.windows = [{ url: `${ORIGIN}/`, focus: vi.fn() }, { url: `${ORIGIN}/incidents/3`, focus }];
    await worker.click("");
    expect(focus).toHaveBeenCalledOnce();
    expect(worker.opened.length).toBe(1);
  });
  it.each([
    ["refuses", () => Promise.resolve({ ok: false })],
    ["is away", () => Promise.reject(new TypeError("offline"))],
  ])("opens the incident when the server %s, and claims nothing", async (_, answer) => {
    const worker = new Worker();
    worker.answers[acknowledgement] = answer;
    await worker.push(page);
    await worker.click("acknowledge");
    expect(worker.opened).toEqual([`${ORIGIN}/incidents/3`]);
    expect(worker.shown.length).toBe(1);
    worker.opens = false;
    await worker.click("acknowledge");
    expect(worker.shown[1]).toMatchObject({ options: { body: "Not acknowledged. Open it.", tag: "incident-3" } });
  });
  it.each([["raj", "ana"], [null, "ana"], ["ana", undefined]])("acknowledges nothing as %s what is a page of %s", async (signedIn, login) => {
    const worker = new Worker();
    worker.signIn(signedIn);
    await worker.push({ ...page, login });
    await worker.click("acknowledge");
    expect(worker.asked.map(({ url }) => url)).toEqual(["/api/session"]);
    expect(worker.opened).toEqual([`${ORIGIN}/incidents/3`]);
  });
  it.each([
    [{ already: true, acknowledged_by: "raj", acknowledged_by_name: "Raj Patel" }, "Raj Patel has it already."],
    [{ already: true, acknowledged_by: "raj" }, "Somebody else has it already."],
    [{ already: true, acknowledged_by: "ana", acknowledged_by_name: "Ana Silva" }, "Acknowledged."],
  ])("says who has it: %o", async (said, body) => {
    const worker = new Worker();
    worker.answers[acknowledgement] = () => Promise.resolve({ ok: true, json: () => Promise.resolve(said) });
    await worker.push(page);
    await worker.click("acknowledge");
    expect(worker.shown[1]).toMatchObject({ options: { body } });
  });
  it("waits four seconds for a server that hangs", async () => {
    const limit = new AbortController();
    const timeout = vi.spyOn(AbortSignal, "timeout").mockReturnValue(limit.signal);
    const worker = new Worker();
    worker.answers[acknowledgement] = () => new Promise((_, reject) => {
      limit.signal.addEventListener("abort", () => reject(new DOMException("too late", "TimeoutError")));
      limit.abort();
    });
    await worker.push(page);
    await worker.click("acknowledge");
    expect(timeout).toHaveBeenCalledExactlyOnceWith(4_000);
    expect(worker.asked[1]?.init?.signal).toBe(limit.signal);
    expect(worker.opened).toEqual([`${ORIGIN}/incidents/3`]);
    timeout.mockRestore();
  });
  it("shows something whatever comes, and opens nothing foreign", async () => {
    const worker = new Worker();
    await worker.tell("push", { data: null });
    await worker.tell("push", { data: { json: () => { throw new SyntaxError("no JSON"); } } });
    expect(worker.shown.map(({ title }) => title)).toEqual(["Something happened", "Something happened"]);
    for (const [link, place] of [["https://evil.example/incidents/3?a=1", "/incidents/3?a=1"], ["javascript:alert(1)", "/"], ["//evil.example", "/"], [undefined, "/"]] as const) {
      await worker.push({ ...page, link });
      const { data } = worker.shown[worker.shown.length - 1]!.options;
      expect(data.place).toBe(place);
      expect(new URL(data.place, ORIGIN).origin).toBe(ORIGIN);
    }
    await worker.push({ ...page, incident: "3/../../session" });
    expect(worker.shown[worker.shown.length - 1]).toMatchObject({ options: { actions: [], data: { incident: null } } });
  });
  it("tells the server its new address", async () => {
    const worker = new Worker();
    worker.answers["/api/browsers"] = () => Promise.resolve({ ok: true, json: () => Promise.resolve({ key: "K" }) });
    await worker.tell("pushsubscriptionchange");
    expect(JSON.parse(String(worker.asked[1]?.init?.body))).toMatchObject({ endpoint: "https://push.example.org/new", keys: { p256dh: "P", auth: "A" } });
  });
});

describe("this browser", () => {
  const KEY = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
  const unsubscribe = vi.fn(() => Promise.resolve(true));
  const made = { toJSON: () => ({ endpoint: "https://push.example.org/x", keys: { p256dh: "P", auth: "A" } }) };
  let before: { options: { applicationServerKey: ArrayBuffer }; unsubscribe: typeof unsubscribe } | null = null;
  let permission = "granted";
  beforeEach(() => {
    const pushManager = { getSubscription: () => Promise.resolve(before), subscribe: () => Promise.resolve(made) };
    vi.stubGlobal("Notification", { requestPermission: () => Promise.resolve(permission) });
    vi.stubGlobal("navigator", {
      userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
      serviceWorker: { register: () => Promise.resolve(), ready: Promise.resolve({ pushManager }) },
    });
  });
  afterEach(() => {
    unsubscribe.mockClear();
    [before, permission] = [null, "granted"];
    vi.unstubAllGlobals();
  });

  it("subscribes by the server's key, and leaves what was made by another", async () => {
    const body = { endpoint: "https://push.example.org/x", keys: { p256dh: "P", auth: "A" }, label: "Firefox on Linux" };
    expect(await subscribe(KEY)).toEqual(body);
    before = { options: { applicationServerKey: keyBytes(KEY).buffer }, unsubscribe };
    await subscribe(KEY);
    expect(unsubscribe).not.toHaveBeenCalled();
    before = { options: { applicationServerKey: new Uint8Array(65).buffer }, unsubscribe };
    await subscribe(KEY);
    expect(unsubscribe).toHaveBeenCalledOnce();
  });
  it("says what to do when the person or the browser refused", async () => {
    permission = "denied";
    await expect(subscribe(KEY)).rejects.toThrow("may not show notifications");
    expect(whyNot({ isSecureContext: false, navigator: {} })).toContain("https");
    expect(whyNot({ isSecureContext: true, navigator: {} })).toContain("home screen");
    expect(whyNot({ isSecureContext: true, navigator: { serviceWorker: {} }, PushManager: 1, Notification: 1 } as never)).toBeNull();
  });
  it("is known by the same id as on the server", async () => {
    expect(await idOf("https://push.example.org/x")).toBe("0e616f21956e41e0f2dbf447262b6258");
    expect(keyBytes(KEY).length).toBe(65);
  });
  it.each([
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"],
    ["Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1", "Safari on an iPhone"],
    ["curl/8", "A browser"],
  ])("%s", (agent, name) => expect(nameOf(agent)).toBe(name));
});

it("a browser is a way of its own in the rules, and never sent as an address", () => {
  const person = { contact: { email: "ana@example.org", channels: { sms: "+4930123456", ntfy: "https://ntfy.sh/a" } }, timezone: "UTC", browsers: 2 };
  const form = formOf(person);
  expect(defaultRules(form).map(({ channel }) => channel)).toEqual(["mail", "ntfy", "webpush", "sms"]);
  const sent = contactOf({ ...form, critical: [{ channel: "webpush", after: "0" }, { channel: "sms", after: "30" }] });
  expect(sent.rules?.critical).toEqual([{ channel: "webpush", after_s: 0 }, { channel: "sms", after_s: 30 }]);
  expect(sent).not.toHaveProperty("browsers");
  expect(contactOf({ ...formOf({ ...person, browsers: 0 }), critical: [{ channel: "webpush", after: "0" }, { channel: "sms", after: "30" }] }).rules?.critical).toEqual([{ channel: "sms", after_s: 0 }]);
});
