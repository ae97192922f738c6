// From a breach to the first page, by this server and by Debian's Prometheus with Debian's Alertmanager, at the same breaches in
// one run: a gauge of a page that both scrape, and a sample that is pushed to both by remote write; to this one also by StatsD.
// The rule has no `for`. Everything is as it is without settings: Prometheus' shipped configuration scrapes and evaluates every
// 15 s, Alertmanager waits 30 s for a group; this server scrapes every 15 s. A second Alertmanager, told by the same Prometheus, waits
// for no group, which is the least that settings can do there short of the intervals. Each breach is of a service of its own, so
// that each is the first of its group there and of its incident here. All post to receivers in this process.
//
//   node e2e/alertmanager/breach.bench.mjs [BREACHES]     TENFOLD_BIN names the program
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { createServer as listen } from 'node:net';

import { Server } from '../clients/server.mjs';
import { encoded, labelled, remoteWrite } from '../lib/remote-write.mjs';
import { until } from '../lib/wait.mjs';
import { median } from './measures.mjs';
import { alertmanager, freePort, prometheus } from './rivals.mjs';
import { answer, eachRequest } from './sides.mjs';

const breaches = Number(process.argv[2] ?? 9);
const SCRAPE_MS = 15_000;
/** Pushed series come this often, breach or not. */
const PUSH_MS = 1_000;
const PATIENCE_MS = 120_000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const rule = (kind) => `
  - alert: Breach_${kind}
    expr: ${kind}_gauge > 0
    labels: {severity: critical}
    annotations: {summary: 'something is wrong with {{ $labels.service }}'}`;
const rules = (kinds) => `groups:\n- name: breach\n  rules:${kinds.map(rule).join('')}\n`;

/** When each breach was first heard of, by the name of its service. */
async function receiver() {
  const heard = new Map();
  const taken = answer('200 OK');
  const server = listen((socket) => eachRequest(socket, (body) => {
    const now = performance.now();
    for (const [service] of body.matchAll(/\b(?:scraped|pushed|statsd)-[0-9]+\b/g)) if (!heard.has(service)) heard.set(service, now);
    socket.write(taken);
  }));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, heard, close: () => server.close() };
}

/** A page with the gauge of each service; says who has asked for it. */
async function target(value) {
  const askers = new Map();
  const server = createServer((request, response) => {
    const who = request.headers['user-agent'] ?? '';
    askers.set(who, (askers.get(who) ?? 0) + 1);
    const lines = Array.from({ length: breaches }, (_, i) => `scraped_gauge{service="scraped-${i}"} ${value(i)}\n`);
    response.setHeader('content-type', 'text/plain; version=0.0.4').end(`# TYPE scraped_gauge gauge\n${lines.join('')}`);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${server.address().port}`, askers, close: () => server.close() };
}

/** An Alertmanager with a receiver of its own. `more` is of its route. */
async function told(name, more) {
  const sink = await receiver();
  const server = await alertmanager(`
route: {receiver: default, group_by: [alertname, service]${more}}
receivers: [{name: default, webhook_configs: [{url: '${sink.url}'}]}]
`);
  const stop = async () => {
    await server?.stop();
    sink.close();
  };
  return { name, address: server?.address, heard: sink.heard, stop };
}

/** One Prometheus and two Alertmanagers, each a side; none when one of the programs is missing. */
async function theirs(page) {
  const all = [await told('Prometheus and Alertmanager', ''), await told('the same, group_wait 0s', ', group_wait: 0s')];
  const addresses = all.map(({ address }) => address);
  const server = addresses.every(Boolean) && (await prometheus({ targets: [page.address], alertmanagers: addresses }));
  if (!server) {
    for (const one of all) await one.stop();
    return [];
  }
  await server.rules(rules(['scraped', 'pushed']));
  const stop = async (one) => {
    await server.stop();
    await one.stop();
  };
  return all.map((one) => ({ ...one, base: `http://${server.address}`, headers: {}, kinds: ['scraped', 'pushed'], stop: () => stop(one) }));
}

async function ours(page, statsdPort) {
  const sink = await receiver();
  const scraped = `[[metrics.static_targets]]\njob = "bench"\nurl = "http://${page.address}/metrics"\n`;
  const server = await Server.start(scraped, `listen = "127.0.0.1:${statsdPort}"\n`);
  await server.api.put('/api/people/mei', { contact: { webhook: sink.url } });
  await server.api.put('/api/policies/default', { steps: [{ delay_ms: 3_600_000, targets: [{ kind: 'person', name: 'mei' }] }], repeat: 0 });
  await server.api.put('/api/rules/breach', { yaml: rules(['scraped', 'pushed', 'statsd']) });
  const headers = { authorization: `Bearer ${await server.token('bench', 'metrics')}` };
  const stop = async () => {
    await server.stop();
    sink.close();
  };
  return { name: 'tenfold', base: server.url, headers, kinds: ['scraped', 'pushed', 'statsd'], heard: sink.heard, stop };
}

const begun = new Array(breaches).fill(undefined);
const value = (i) => (begun[i] === undefined ? 0 : 1);
const page = await target(value);
const statsdPort = await freePort();
const rivals = await theirs(page);
const sides = [...rivals, await ours(page, statsdPort)];
/** Who scrapes the page and takes samples: two sides may share a server. */
const servers = new Map(sides.map(({ base, headers }) => [base, headers]));
const statsd = createSocket('udp4');
const series = Array.from({ length: breaches }, (_, i) => labelled({ __name__: 'pushed_gauge', service: `pushed-${i}` }));

/** One after the other: of two under way at a time the later might come first. */
let pushed = Promise.resolve();
function push() {
  pushed = pushed.then(async () => {
    const body = encoded(series.map((labels, i) => [labels, value(i)]), Date.now());
    await Promise.all([...servers].map(([base, headers]) => remoteWrite(base, headers, body)));
  });
  return pushed;
}
function gauge(i) {
  statsd.send(`statsd_gauge:${value(i)}|g|#service:statsd-${i}`, statsdPort, '127.0.0.1');
}

let pushing = true;
const pusher = (async () => {
  for (; pushing; await pause(PUSH_MS)) await push();
})();
for (let i = 0; i < breaches; i += 1) gauge(i);
await until('each server has scraped', () => page.askers.size >= servers.size, { within_ms: 4 * SCRAPE_MS });
// The first evaluation of both is behind them.
await pause(SCRAPE_MS);

// One breach in each part of the scrapes' interval, wherever their grids lie: as evenly as many breaches at random would be.
const started = performance.now();
for (let i = 0; i < breaches; i += 1) {
  const due = started + i * SCRAPE_MS + (i + Math.random()) * (SCRAPE_MS / breaches);
  await pause(Math.max(0, due - performance.now()));
  begun[i] = performance.now();
  gauge(i);
  await push();
}
const all = (side) => side.kinds.flatMap((kind) => begun.map((_, i) => `${kind}-${i}`));
await until('each breach is told of', () => sides.every((side) => all(side).every((name) => side.heard.has(name))), { within_ms: PATIENCE_MS });

console.log(`| ${breaches} breaches | server | least s | median s | mean s | most s |\n| --- | --- | ---: | ---: | ---: | ---: |`);
const medians = {};
for (const kind of ['scraped', 'pushed', 'statsd']) {
  for (const side of sides.filter(({ kinds }) => kinds.includes(kind))) {
    const took = begun.map((at, i) => (side.heard.get(`${kind}-${i}`) - at) / 1000).sort((a, b) => a - b);
    (medians[kind] ??= {})[side.name] = median(took);
    const mean = took.reduce((sum, s) => sum + s, 0) / took.length;
    console.log(`| ${kind} | ${side.name} | ${[took[0], median(took), mean, took.at(-1)].map((s) => s.toFixed(2)).join(' | ')} |`);
  }
}
for (const kind of ['scraped', 'pushed']) {
  for (const { name } of rivals) console.log(`${kind}: ${name}: the median is ${(medians[kind][name] / medians[kind].tenfold).toFixed(1)} times as long`);
}
pushing = false;
await pusher;
for (const side of sides) await side.stop();
page.close();
statsd.close();
process.exit(0);
