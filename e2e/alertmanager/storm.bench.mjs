// A storm of alerts through this server and through Debian's Alertmanager in one run, in turns: the same configuration, the
// same sender, the same receiver of webhooks. Prints the seconds from the first alert sent to the last one delivered, and
// processor time and peak memory of each server's process meanwhile.
//
//   node e2e/alertmanager/storm.bench.mjs [ALERTS] [GROUPS...]     TENFOLD_BIN names the program, GROUP_WAIT how long both wait
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createServer as listen } from 'node:net';

import { alertmanager } from './rivals.mjs';
import { answer, eachRequest, post, tenfold } from './sides.mjs';

const [alerts = 10_000, ...counts] = process.argv.slice(2).map(Number);
const GROUPS = counts.length > 0 ? counts : [100, alerts];
// Before a group is told of the first time. With 0s nothing but the servers' work is measured.
const { GROUP_WAIT = '1s' } = process.env;
const BATCH = 64;
const SENDERS = 2;
const DEADLINE_MS = 180_000;
const TICKS_A_SECOND = 100;
// What a start and a sign-in took is given back by then.
const SETTLE_MS = 3_000;

/** Takes requests on kept connections and says how many different alerts have come. As little work as can be. */
async function receiver() {
  const seen = new Set();
  let messages = 0;
  const taken = answer('200 OK');
  const server = listen((socket) => eachRequest(socket, (body) => {
    for (const [, number] of body.matchAll(/"instance":"i-([0-9]+)"/g)) seen.add(number);
    messages += 1;
    socket.write(taken);
  }));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, seen, messages: () => messages, close: () => server.close() };
}

const config = (url) => `
route: {receiver: default, group_by: [cluster], group_wait: ${GROUP_WAIT}, group_interval: 5s, repeat_interval: 1h}
receivers: [{name: default, webhook_configs: [{url: '${url}'}]}]
`;

function figures(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const peak = /VmHWM:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  return { cpu: (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND, peak: Number(peak) / 1024 };
}

async function storm(start, groups) {
  const sink = await receiver();
  const server = await start(config(sink.url));
  if (!server) return sink.close();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
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
  // The peak is that of the storm: 5 resets VmHWM (proc(5)).
  writeFileSync(`/proc/${server.pid}/clear_refs`, '5');
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

console.log(`group_wait ${GROUP_WAIT}\n| ${alerts} alerts | groups | sent s | all delivered s | messages | CPU s | peak MiB |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |`);
for (const groups of GROUPS) for (const start of [alertmanager, tenfold]) await storm(start, groups);
process.exit(0);
