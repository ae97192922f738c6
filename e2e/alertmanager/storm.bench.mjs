// A storm of alerts through this server and through Debian's Alertmanager in one run, in turns: the same configuration, the
// same sender, the same receiver of webhooks. Prints the seconds from the first alert sent to the last one delivered, and
// processor time and peak memory of each server's process.
//
//   node e2e/alertmanager/storm.bench.mjs [ALERTS] [GROUPS...]     TENFOLD_BIN names the program
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer as listen } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Server } from '../clients/server.mjs';
import { until } from '../lib/wait.mjs';

const [alerts = 10_000, ...counts] = process.argv.slice(2).map(Number);
const GROUPS = counts.length > 0 ? counts : [100, alerts];
const BATCH = 64;
const SENDERS = 2;
const DEADLINE_MS = 180_000;
const TICKS_A_SECOND = 100;

/** Takes requests on kept connections and says how many different alerts have come. As little work as can be. */
async function receiver() {
  const seen = new Set();
  let messages = 0;
  const server = listen((socket) => {
    let waiting = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      waiting = waiting.length > 0 ? Buffer.concat([waiting, chunk]) : chunk;
      for (;;) {
        const end = waiting.indexOf('\r\n\r\n');
        if (end < 0) return;
        const length = Number(/content-length: *([0-9]+)/i.exec(waiting.toString('latin1', 0, end))?.[1] ?? 0);
        if (waiting.length < end + 4 + length) return;
        const body = waiting.toString('utf8', end + 4, end + 4 + length);
        for (const [, number] of body.matchAll(/"instance":"i-([0-9]+)"/g)) seen.add(number);
        messages += 1;
        waiting = waiting.subarray(end + 4 + length);
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      }
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, seen, messages: () => messages, close: () => server.close() };
}

const config = (url) => `
route: {receiver: default, group_by: [cluster], group_wait: 1s, group_interval: 5s, repeat_interval: 1h}
receivers: [{name: default, webhook_configs: [{url: '${url}'}]}]
`;

function figures(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const peak = /VmHWM:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  return { cpu: (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND, peak: Number(peak) / 1024 };
}

async function ours(url) {
  const server = await Server.start();
  const { secret } = await server.api.post('/api/tokens', { name: 'storm', kind: 'robot', role: 'deployer' });
  await server.api.put('/api/routing', { yaml: config(url) });
  return { name: 'tenfold', pid: server.child.pid, address: server.address, headers: { authorization: `Bearer ${secret}` }, stop: () => server.stop() };
}

async function theirs(url) {
  const program = ['/usr/bin/prometheus-alertmanager', '/usr/local/bin/alertmanager'].find(existsSync);
  if (!program) {
    console.log('skipped: Alertmanager is not installed (Debian: prometheus-alertmanager)');
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-storm-'));
  writeFileSync(join(folder, 'config.yml'), config(url));
  const port = await new Promise((resolve) => {
    const probe = listen().listen(0, '127.0.0.1', () => {
      const free = probe.address().port;
      probe.close(() => resolve(free));
    });
  });
  const address = `127.0.0.1:${port}`;
  const args = ['--config.file', join(folder, 'config.yml'), '--storage.path', folder, '--web.listen-address', address, '--cluster.listen-address='];
  const child = spawn(program, args, { stdio: 'ignore' });
  await until('Alertmanager answers', () => fetch(`http://${address}/-/ready`).then((r) => r.ok, () => false));
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  return { name: 'Alertmanager', pid: child.pid, address, headers: {}, stop };
}

function post(server, agent, body) {
  const [hostname, port] = server.address.split(':');
  return new Promise((resolve, reject) => {
    const headers = { ...server.headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asked = request({ hostname, port, path: '/api/v2/alerts', method: 'POST', headers, agent }, (answer) => {
      answer.resume().on('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`${server.name}: ${answer.statusCode}`))));
    });
    asked.on('error', reject).end(body);
  });
}

async function storm(start, groups) {
  const sink = await receiver();
  const server = await start(sink.url);
  if (!server) return sink.close();
  const now = new Date().toISOString();
  const bodies = [];
  for (let first = 0; first < alerts; first += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, alerts - first) }, (_, i) => ({
      labels: { alertname: 'Storm', cluster: `c-${(first + i) % groups}`, instance: `i-${first + i}`, severity: 'warning' },
      annotations: { summary: 'something is wrong with this instance' },
      startsAt: now,
      generatorURL: 'http://prometheus.example:9090/graph?g0.expr=up',
    }));
    bodies.push(JSON.stringify(batch));
  }
  const before = figures(server.pid);
  const agent = new Agent({ keepAlive: true, maxSockets: SENDERS });
  const began = performance.now();
  const queue = bodies.values();
  await Promise.all(Array.from({ length: SENDERS }, async () => { for (const body of queue) await post(server, agent, body); }));
  const sent = performance.now() - began;
  while (sink.seen.size < alerts) {
    if (performance.now() - began > DEADLINE_MS) throw new Error(`${server.name}: ${sink.seen.size} of ${alerts} delivered`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const took = performance.now() - began;
  const after = figures(server.pid);
  const row = [server.name, groups, (sent / 1000).toFixed(2), (took / 1000).toFixed(2), sink.messages(), (after.cpu - before.cpu).toFixed(2), after.peak.toFixed(0)];
  console.log(`| ${row.join(' | ')} |`);
  agent.destroy();
  await server.stop();
  sink.close();
}

console.log(`| ${alerts} alerts | groups | sent s | all delivered s | messages | CPU s | peak MiB |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |`);
for (const groups of GROUPS) for (const start of [theirs, ours]) await storm(start, groups);
process.exit(0);
