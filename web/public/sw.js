/*
 * Pages while no page is open: shows what the server pushed, opens the incident, acknowledges. It answers no request of
 * the pages and keeps nothing.
 */
"use strict";

/** A server that hangs is not waited for: whoever was woken is to see what to do. */
const ANSWER_MS_MAX = 4_000;

/** Every push is shown, also one that cannot be read: browsers stop those that push in silence. */
function read(data) {
  try {
    return data?.json() ?? {};
  } catch {
    return {};
  }
}

/** The place on this server, by whatever name the browser calls it. Nothing else is ever opened. */
function placeOf(link) {
  try {
    const url = new URL(typeof link === "string" ? link : "/", self.location.origin);
    return /^https?:$/.test(url.protocol) ? url.pathname + url.search + url.hash : "/";
  } catch {
    return "/";
  }
}

function show(said) {
  const incident = Number.isInteger(said.incident) && said.incident > 0 ? said.incident : null;
  const title = typeof said.title === "string" && said.title ? said.title : "Something happened";
  return self.registration.showNotification(title, {
    body: typeof said.text === "string" ? said.text : "Open tenfold to see what.",
    // What is told later of the same incident takes the place of what was shown.
    tag: typeof said.tag === "string" && said.tag ? said.tag : "tenfold",
    renotify: !said.silent,
    silent: Boolean(said.silent),
    requireInteraction: said.severity === "critical" && Boolean(said.open),
    timestamp: Number(said.at) || undefined,
    actions: incident && said.open ? [{ action: "acknowledge", title: "Acknowledge" }] : [],
    data: { place: placeOf(said.link), incident, title, login: typeof said.login === "string" ? said.login : "" },
  });
}

async function open(place) {
  const address = new URL(place, self.location.origin).href;
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find(({ url }) => url === address);
  return there ? there.focus() : self.clients.openWindow(address);
}

/** What the server answers; null when it refuses, is away or hangs. */
async function ask(path, init) {
  try {
    const answer = await fetch(path, { credentials: "same-origin", ...init });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/**
 * By the session of this browser, when it is of the person whose page it is. When it is not, or the server gives no good
 * answer, nothing is claimed and the incident's page says what to do.
 */
async function acknowledge({ place, incident, title, tag, login }) {
  const say = (body) => self.registration.showNotification(title, { body, tag, silent: true, data: { place, incident, title, login } });
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  const session = await ask("/api/session", { signal });
  const own = Boolean(login) && session?.person?.login === login;
  const done = own ? await ask(`/api/incidents/${incident}/acknowledge`, { method: "POST", signal }) : null;
  // Browsers open pages only shortly after the click.
  if (!done) return open(place).catch(() => say("Not acknowledged. Open it."));
  const others = done.already && done.acknowledged_by !== login;
  return say(others ? `${done.acknowledged_by_name || "Somebody else"} has it already.` : "Acknowledged.");
}

/** The push service gave this browser another address: the server is told. */
async function renew() {
  const answer = await fetch("/api/browsers", { credentials: "same-origin" });
  if (!answer.ok) return;
  const { key } = await answer.json();
  const subscription = await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = subscription.toJSON();
  await fetch("/api/browsers", {
    method: "POST",
    credentials: "same-origin",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ endpoint, keys, label: "this browser, under a new address" }),
  });
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(show(read(event.data))));
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew()));
self.addEventListener("notificationclick", (event) => {
  const { notification } = event;
  const { place = "/", incident = null, title = "", login = "" } = notification.data ?? {};
  notification.close();
  const asked = event.action === "acknowledge" && incident;
  event.waitUntil(asked ? acknowledge({ place, incident, title, tag: notification.tag, login }) : open(place));
});
