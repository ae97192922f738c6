/** Pages in this browser: whether it can take them, and turning them on and off (Push API). */
import { ApiError } from "../api/http";
import type { NewBrowser } from "../api/types";

/** Why this browser cannot take pushes; null when it can. */
export function whyNot(where: { isSecureContext: boolean; navigator: object } = window): string | null {
  if (!where.isSecureContext) return "Browsers take pushes only from pages with https, or on localhost.";
  const there = "serviceWorker" in where.navigator && "PushManager" in where && "Notification" in where;
  return there ? null : "This browser takes no pushes here. On an iPhone or iPad, add tenfold to the home screen first and open it there.";
}

/** The server's key as the bytes that subscriptions are made with. */
export function keyBytes(key: string): Uint8Array<ArrayBuffer> {
  const text = atob(key.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** How the server calls a browser with this address. */
export async function idOf(endpoint: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(endpoint));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, 32);
}

const first = (agent: string, names: [RegExp, string][], other: string): string => names.find(([pattern]) => pattern.test(agent))?.[1] ?? other;

/** What people would call it, such as `Firefox on Linux`. */
export function nameOf(agent: string): string {
  const browser = first(agent, [[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]], "A browser");
  const system = first(agent, [[/Android/, "Android"], [/iPhone/, "an iPhone"], [/iPad/, "an iPad"], [/Windows/, "Windows"], [/Mac OS X/, "a Mac"], [/Linux/, "Linux"]], "");
  return system ? `${browser} on ${system}` : browser;
}

/** The subscription of this browser, if it has one. */
export async function current(): Promise<PushSubscription | null> {
  if (whyNot()) return null;
  const registration = await navigator.serviceWorker.getRegistration("/");
  return (await registration?.pushManager.getSubscription()) ?? null;
}

const same = (a: ArrayBuffer | null, b: Uint8Array): boolean => a !== null && a.byteLength === b.length && new Uint8Array(a).every((byte, i) => byte === b[i]);

/** Asks the person and the push service; what comes back is for the server. */
export async function subscribe(key: string): Promise<NewBrowser> {
  const refused = (message: string, advice: string): ApiError => new ApiError(0, "refused", message, advice);
  if ((await Notification.requestPermission()) !== "granted") {
    throw refused("This browser may not show notifications of this page.", "Allow them in the browser's settings of this site, and try again.");
  }
  await navigator.serviceWorker.register("/sw.js", { scope: "/" });
  const { pushManager } = await navigator.serviceWorker.ready;
  const wanted = keyBytes(key);
  const before = await pushManager.getSubscription();
  // One that was made with another key of the server is of no use.
  if (before && !same(before.options.applicationServerKey, wanted)) await before.unsubscribe();
  const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: wanted }).catch((error: unknown) => {
    throw refused("The push service of this browser gave it no address.", String(error));
  });
  const { endpoint = "", keys = {} } = made.toJSON();
  return { endpoint, keys: { p256dh: keys.p256dh ?? "", auth: keys.auth ?? "" }, label: nameOf(navigator.userAgent) };
}
