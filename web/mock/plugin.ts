/** The server's API for tests and screenshots: the shapes, a few rows, a live stream. It answers, it does not decide. */
import { checkList, checkNamed, why } from "./checks.ts";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";
import * as a from "./alerts.ts";
import * as c from "./changes.ts";
import * as d from "./data.ts";
import * as shipped from "./deploys.ts";
import { exemplars, instant, range } from "./metrics.ts";
import * as store from "./store.ts";
import { targetList } from "./targets.ts";

const CSP = "default-src 'self'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

type Answer = unknown;
type Handler = (parts: string[], query: URLSearchParams, body: Record<string, unknown>) => Answer;

function list<T>(items: T[], empty: boolean): { items: T[] } {
  return { items: empty ? [] : items };
}

function picked<T extends { flag: string; state: string }>(items: T[], query: URLSearchParams): T[] {
  const [flag, state] = [query.get("flag"), query.get("state")];
  return items.filter((one) => (!flag || one.flag === flag) && (!state || one.state === state));
}

function events(query: URLSearchParams, empty: boolean): { items: unknown[] } {
  let rows = empty ? [] : [...d.EVENTS];
  const kinds = (query.get("kind") ?? "").split(",").filter(Boolean);
  if (kinds.length > 0) rows = rows.filter(({ kind }) => kinds.some((prefix) => kind.startsWith(prefix)));
  const correlation = query.get("correlation");
  if (correlation) rows = rows.filter((row) => row.correlation === correlation);
  const words = (query.get("q") ?? "").toLowerCase();
  if (words) rows = rows.filter(({ text }) => text.toLowerCase().includes(words));
  const actor = query.get("actor");
  if (actor) rows = rows.filter((row) => row.actor.id === actor);
  const seqs = query.get("seq")?.split(",").map(Number);
  if (seqs) rows = rows.filter(({ seq }) => seqs.includes(seq));
  const [ofDeploy, ofFlag] = [query.get("deploy"), query.get("flag")];
  if (ofDeploy) rows = rows.filter(({ subject }) => subject.deploy === Number(ofDeploy));
  if (ofFlag) rows = rows.filter(({ subject }) => subject.flag === ofFlag);
  if (query.get("after")) rows = rows.filter(({ seq }) => seq > Number(query.get("after")));
  if (query.get("before")) rows = rows.filter(({ seq }) => seq < Number(query.get("before")));
  if (query.get("order") !== "asc") rows.reverse();
  return { items: rows.slice(0, Number(query.get("limit") ?? 100)) };
}

const TOKENS = [{ id: "t1", name: "host-1", kind: "agent", environment: "production", created_at: d.ago(9e8), last_used_at: d.ago(2000) }, { id: "t2", name: "photos server", kind: "client", environment: "production", created_at: d.ago(8e8), last_used_at: d.ago(4000) }];
const SOURCES_OF_ALERTS = [
  { name: "grafana", spec: { kind: "grafana" }, address: "https://tenfold.example.org/hooks/alerts/grafana", last_at: d.ago(40_000), taken: 214, refused: 0, refusal: "" },
  { name: "nightly", spec: { kind: "webhook", service: "photos", environment: "production" }, address: "https://tenfold.example.org/hooks/alerts/nightly", last_at: null, taken: 0, refused: 3, refusal: "the signature does not fit" },
  { name: "backup", spec: { kind: "mail", service: "db" }, address: "backup-…@alerts.example.org", last_at: null, taken: 0, refused: 0, refusal: "" },
];
const PHASES: Record<string, string> = { deploy: "deploy", flag: "deploy", alert: "alert", page: "page", incident: "acknowledged", note: "note", chat: "other" };
const POSTMORTEM = "# Incident 3: more than 2 % of photos requests fail\n\n## What people saw\nUploads answered 502 for 4 min.\n\n## Timeline (UTC)\n- 12:31 a developer deployed photos 39\n- 12:33 the alert PhotosErrors fired\n- 12:34 an operator acknowledged\n- 12:36 an operator rolled back to 38\n\n## Contributing factors (two or more)\n-\n\n## What surprised us\n-\n";

function handlers(empty: boolean): [string, RegExp, Handler][] {
  const session = { person: d.PEOPLE[0], demo: true, setup_needed: false, version: "0.1.0" };
  const found = <T>(items: T[], test: (item: T) => boolean): Answer => items.find(test) ?? null;
  return [
    ["GET", /^\/api\/session$/, () => session],
    ["GET", /^\/api\/now$/, () => d.now(empty)],
    ["GET", /^\/api\/events\/verify$/, () => ({ ok: true, checked: d.EVENTS.length })],
    ["GET", /^\/api\/events$/, (_p, query) => events(query, empty)],
    ["GET", /^\/api\/people$/, () => list(d.PEOPLE, false)],
    ["GET", /^\/api\/teams$/, () => list([{ name: "photos", members: ["ana", "raj", "mei"] }], empty)],
    ["GET", /^\/api\/browsers$/, () => ({ key: "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8", browsers: empty ? [] : [{ id: "b1", label: "Firefox on Linux", service: "updates.push.services.mozilla.com", added_at: d.ago(8e8) }] })],
    ["GET", /^\/api\/tokens$/, () => list(TOKENS, empty)],
    ["POST", /^\/api\/tokens$/, (_p, _q, body) => ({ id: "t3", ...body, secret: "tf_example_only" })],
    ["GET", /^\/api\/services$/, () => list(d.SERVICES, empty)],
    ["GET", /^\/api\/services\/(.+)\/next$/, ([name], query) => shipped.next(name ?? "", query.get("environment") ?? "production")],
    ["GET", /^\/api\/hosts$/, () => list(d.HOST_LIST, empty)],
    ["GET", /^\/api\/deploys$/, (_p, query) => (empty ? list([], true) : shipped.listed(query))],
    ["GET", /^\/api\/deploys\/(\d+)$/, ([n]) => found(d.DEPLOYS, (one) => one.number === Number(n))],
    ["POST", /^\/api\/deploys/, () => d.DEPLOYS[0]],
    ["GET", /^\/api\/locks$/, () => list(shipped.LOCKS, empty)],
    ["GET", /^\/api\/trains$/, () => list([{ service: "photos", environment: "production", phase: "checking", deploy: 41, members: [{ login: "ana", name: "Ana", shown: true, good: false }, { login: "raj", name: "Raj", shown: true, good: true }], waiting: [{ login: "mei", name: "Mei", shown: false, good: false }], hold: null, trouble: { name: "Raj", why: "pages are slow on host-2" }, moved_at: new Date().toISOString() }], empty)],
    ["POST", /^\/api\/trains\/.*\/graphs$/, () => ({ deploy: 41, graphs: d.EXPECTS.metrics.map(({ query, says }) => ({ query, says, before: 1.2345, now: 1.31 })), signs: d.EXPECTS.signs })],
    ["POST", /^\/api\/trains/, () => ({ train: null })],
    ["GET", /^\/api\/dashboards$/, () => list(d.DASHBOARDS, empty)],
    ["GET", /^\/api\/markers$/, () => list(d.MARKERS, empty)],
    ["GET", /^\/api\/metrics\/cardinality$/, () => (empty ? { ...store.CARDINALITY, series: 0, active_series: 0, labels: 0, label_pairs: 0, metrics: [], churn: [], created_last_hour: 0, created: [], labels_by_values: [], labels_by_bytes: [], pairs_by_series: [] } : store.CARDINALITY)],
    ["GET", /^\/api\/metrics\/names$/, () => ({ found: store.CARDINALITY.metrics.length, series: 535_258, items: store.CARDINALITY.metrics })],
    ["GET", /^\/api\/metrics\/sources$/, () => ({ ...list(store.SOURCES, empty), jobs: empty ? [] : store.JOBS })],
    ["GET", /^\/api\/metrics\/store$/, () => (empty ? { ...store.STORE, blocks: 0, block_bytes: 0, coarse_bytes: 0, oldest_at: null, newest_at: null, retention_bytes_max: null, quarantined: [], quarantined_count: 0, quarantine_advice: null } : store.STORE)],
    ["POST", /^\/api\/metrics\/delete$/, (_p, _q, body) => ({ ...store.DELETION, dry_run: Boolean(body.dry_run) })],
    ["GET", /^\/api\/targets$/, (_p, query) => targetList(query, empty)],
    ["GET", /^\/api\/v1\/query_range$/, (_p, q) => range(q.get("query") ?? "", Number(q.get("start")), Number(q.get("end")), Number(q.get("step")))],
    ["GET", /^\/api\/v1\/query_exemplars$/, (_p, q) => exemplars(Number(q.get("start")), Number(q.get("end")))],
    ["GET", /^\/api\/v1\/query$/, (_p, q) => instant(q.get("query") ?? "")],
    ["GET", /^\/api\/v1\/parse_query$/, () => ({ status: "success", data: {} })],
    ["GET", /^\/api\/v1\/format_query$/, (_p, q) => ({ status: "success", data: (q.get("query") ?? "").trim() })],
    ["GET", /^\/api\/v1\/metadata$/, () => ({ status: "success", data: { requests: [{ type: "counter", help: "Requests that were answered.", unit: "" }] } })],
    ["GET", /^\/api\/v1\/label\/job\//, () => ({ status: "success", data: ["edge", "photos", "resize (old)", "thumbnails"] })],
    ["GET", /^\/api\/v1\/label\//, () => ({ status: "success", data: ["http_requests_total", "http_request_duration_seconds_bucket", "photos_uploads_total"] })],
    ["GET", /^\/api\/ramp-plans$/, () => list(c.PLANS, empty)],
    ["GET", /^\/api\/flag-schedules$/, (_p, query) => list(picked(c.SCHEDULES, query), empty)],
    ["GET", /^\/api\/flag-requests$/, (_p, query) => list(picked(c.REQUESTS, query), empty)],
    ["GET", /^\/api\/permits$/, () => list(c.PERMITS, empty)],
    ["GET", /^\/api\/flags$/, () => list(d.FLAGS, empty)],
    ["GET", /^\/api\/flag-summaries$/, (_p, query) => ({ items: empty ? [] : d.summaries(query.get("archived") === "true"), environments: ["development", "production"] })],
    ["GET", /^\/api\/segments$/, () => list(d.SEGMENTS, empty)],
    ["POST", /^\/api\/flags\/([^/]+)\/preview$/, (_p, _q, body) => d.preview(body)],
    ["GET", /^\/api\/flags\/([^/]+)$/, ([key]) => found(d.FLAGS, (one) => one.key === key)],
    ["POST", /^\/api\/flags\/([^/]+)\/evaluate$/, () => ({ enabled: true, variant: null, value: true, reason: "in the 50 % of flexibleRollout" })],
    ["POST", /^\/api\/flags\/([^/]+)\/switch$/, ([key], _q, body) => {
      const flag = d.FLAGS.find((one) => one.key === key)!;
      flag.environments.production!.enabled = Boolean(body.enabled);
      return flag;
    }],
    ["GET", /^\/api\/alerts$/, (_p, query) => a.listed(query, empty)],
    ["GET", /^\/api\/alerts\/refused$/, () => list(a.REFUSED, empty)],
    ["POST", /^\/api\/alerts\/refused$/, () => ({ requests: a.REFUSED.splice(0).length })],
    ["DELETE", /^\/api\/alerts\/refused$/, () => ({ requests: a.REFUSED.splice(0).length })],
    ["POST", /^\/api\/alerts\/why-not$/, (_p, _q, body) => a.whyNot(String(body.for))],
    ["GET", /^\/api\/alerts\/(.+)\/why$/, ([fingerprint]) => why(fingerprint ?? "")],
    ["GET", /^\/api\/alerts\/([^/]+)$/, ([fingerprint]) => found(a.ALL, (one) => one.fingerprint === fingerprint)],
    ["GET", /^\/api\/noise\/drafts$/, () => a.DRAFTS],
    ["POST", /^\/api\/noise\/drafts$/, () => a.PUT],
    ["POST", /^\/api\/rules\/[^/]+\/undo$/, () => ({ ...a.PUT, text: "photos is what it was before" })],
    ["GET", /^\/api\/noise$/, () => ({ from: d.ago(6048e5), to: d.ago(0), teams: empty ? [] : a.NOISE })],
    ["GET", /^\/api\/alert-sources$/, () => list(SOURCES_OF_ALERTS, empty)],
    ["GET", /^\/api\/checks$/, () => checkList(empty)],
    ["GET", /^\/api\/checks\/(.+)$/, ([name]) => checkNamed(name ?? "")],
    ["GET", /^\/api\/rules$/, () => ({ ...list(a.RULES, empty), counts: a.counted(empty ? [] : a.RULES) })],
    ["GET", /^\/api\/mutes$/, () => list([{ id: 1, matchers: [{ name: "alertname", op: "=", value: "PhotosSlow" }], reason: "resizing the disks", kind: "silence", state: "active", holds: true, recurs: [], recurs_text: "", created_by: "raj", created_by_name: "Raj", created_at: new Date(Date.now() - 600_000).toISOString(), updated_at: new Date(Date.now() - 600_000).toISOString(), starts_at: new Date(Date.now() - 600_000).toISOString(), expires_at: new Date(Date.now() + 3_000_000).toISOString() }], empty)],
    ["GET", /^\/api\/mutes\/calendar$/, () => ({ items: empty ? [] : [{ mute: 1, from: new Date(Date.now() - 600_000).toISOString(), to: new Date(Date.now() + 3_000_000).toISOString() }], left_out: 0 })],
    ["GET", /^\/api\/schedules$/, () => list(d.SCHEDULES, empty)],
    ["GET", /^\/api\/schedules\/[^/]+\/preview$/, () => d.PREVIEW],
    ["POST", /^\/api\/schedules\/[^/]+\/preview$/, () => d.PREVIEW],
    ["GET", /^\/api\/schedules\/[^/]+\/digest$/, () => ({ schedule: "photos-primary", from: d.PREVIEW.from, to: d.PREVIEW.to, fired: ["HighErrorRate fires for photos"], fired_count: 1, muted: [], pages: 2, open: ["incident 4: p99 of photos is above 500 ms"], open_count: 1, truncated: false, short_rests: [] })],
    ["GET", /^\/api\/schedules\/[^/]+\/fairness$/, () => d.SHARES],
    ["POST", /^\/api\/(?:schedules|people)\/[^/]+\/calendar$/, () => ({ url: "https://tenfold.example.org/calendar/photos-primary/5f2c91a04e7b3d6688c1f0a2d94be731/shifts.ics" })],
    ["GET", /^\/api\/swaps$/, () => list(d.SWAPS, empty)],
    ["GET", /^\/api\/policies$/, () => list([{ name: "photos", steps: [{ delay_ms: 300_000, targets: [{ kind: "schedule", name: "photos-primary" }] }, { delay_ms: 600_000, targets: [{ kind: "person", name: "raj" }] }], repeat: 2 }], empty)],
    ["GET", /^\/api\/incidents$/, (_p, q) => list(d.INCIDENTS.filter(({ state }) => !q.get("state") || state === q.get("state")), empty)],
    ["GET", /^\/api\/incidents\/(\d+)$/, ([n]) => found(d.INCIDENTS, (one) => one.number === Number(n))],
    ["GET", /^\/api\/incidents\/(\d+)\/timeline$/, () => ({ items: d.EVENTS.slice(-13, -3).map((row) => ({ ...row, phase: PHASES[row.kind.split(".")[0]!] ?? "other" })) })],
    ["GET", /^\/api\/incidents\/(\d+)\/postmortem$/, () => POSTMORTEM],
    ["GET", /^\/api\/console\/messages$/, () => list(d.ROOM, empty)],
    ["POST", /./, () => ({})],
    ["PUT", /./, () => ({})],
    ["DELETE", /./, () => ({})],
  ];
}

function sse(response: ServerResponse): (name: string, data: unknown) => void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  return (name, data) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}

function log(response: ServerResponse, number: number): void {
  const send = sse(response);
  const texts = ["tenfold: fetch main", "npm ci", "added 112 packages in 3 s", "cargo build --release --locked", "   Compiling photos v0.1.0", "warning: field `size` is never read", "    Finished in 21.4 s", "artifact 8c1f… 4.1 MiB, 37 files", "host-1: staged, 212 KiB sent", "host-1: activated, checking"];
  texts.forEach((text, index) => send("line", { seq: index + 1, at: d.ago(48_000 - index * 3000), stream: index === 0 || index > 6 ? "tenfold" : index === 5 ? "err" : "out", host: index > 7 ? "host-1" : null, text }));
  if (number !== 41) send("end", {});
}

async function body(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text ? (JSON.parse(text) as Record<string, unknown>) : {};
}

function middleware(empty: boolean): Connect.NextHandleFunction {
  const table = handlers(empty);
  return (request, response, next) => {
    const url = new URL(request.url ?? "/", "http://mock");
    response.setHeader("content-security-policy", CSP);
    if (!url.pathname.startsWith("/api/")) return next();
    if (url.pathname === "/api/stream") return void sse(response)("ping", {});
    const logOf = /^\/api\/deploys\/(\d+)\/log$/.exec(url.pathname);
    if (logOf) return log(response, Number(logOf[1]));
    const row = table.find(([method, pattern]) => method === request.method && pattern.test(url.pathname));
    void body(request).then((json) => {
      const parts = (row?.[1].exec(url.pathname) ?? []).slice(1).map(decodeURIComponent);
      const answer = row ? row[2](parts, url.searchParams, json) : null;
      const text = typeof answer === "string";
      response.writeHead(answer === null ? 404 : 200, { "content-type": text ? "text/markdown" : "application/json" });
      response.end(text ? answer : JSON.stringify(answer ?? { error: { code: "not_found", message: "There is no such thing.", advice: "Look at the list." } }));
    });
  };
}

/** `full` has the demo's rows, `empty` a server nobody has used yet. */
export function mock(mode: string): Plugin {
  const handle = middleware(mode === "empty");
  return {
    name: "tenfold-mock",
    configureServer: (server) => void server.middlewares.use(handle),
    configurePreviewServer: (server) => void server.middlewares.use(handle),
  };
}
