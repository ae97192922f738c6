// A storm of alerts through this server and through Debian's Alertmanager in one run, in turns: the same configuration, the
// same sender, the same receiver of webhooks. Prints the seconds from the first alert sent to the last one delivered, and
// processor time and peak memory of each server's process meanwhile. The receiver is a small program of its own (sink.c). First the
// sender posts to it straight: no server can do with less, and what both take of the two processors stands in each row.
//
//   node e2e/alertmanager/storm.bench.mjs [ALERTS] [GROUPS...]     TENFOLD_BIN names the program, GROUP_WAIT how long both wait
//
// ROUNDS (1) is how often each number of groups is measured, every other time with the servers the other way round. The last
// lines are of medians.
import { readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';

import { cpu, forgetPeak, median, peak } from './measures.mjs';
import { alertmanager } from './rivals.mjs';
import { post, tenfold } from './sides.mjs';
import { compiled, Sink } from './sink.mjs';

const [alerts = 10_000, ...counts] = process.argv.slice(2).map(Number);
const GROUPS = counts.length > 0 ? counts : [100, alerts];
// Before a group is told of the first time. With 0s nothing but the servers' work is measured.
const { GROUP_WAIT = '1s' } = process.env;
const rounds = Number(process.env.ROUNDS ?? 1);
const BATCH = 64;
const SENDERS = 2;
const DEADLINE_MS = 180_000;
// What a start and a sign-in took is given back by then.
const SETTLE_MS = 3_000;

const config = (url) => `
route: {receiver: default, group_by: [cluster], group_wait: ${GROUP_WAIT}, group_interval: 5s, repeat_interval: 1h}
receivers: [{name: default, webhook_configs: [{url: '${url}'}]}]
`;

/** What the sender posts, whole. */
function bodies(groups) {
  const now = new Date().toISOString();
  const out = [];
  for (let first = 0; first < alerts; first += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, alerts - first) }, (_, i) => ({
      labels: { alertname: 'Storm', cluster: `c-${(first + i) % groups}`, instance: `i-${first + i}`, severity: 'warning' },
      annotations: { summary: 'something is wrong with this instance' },
      startsAt: now,
      generatorURL: 'http://prometheus.example:9090/graph?g0.expr=up',
    }));
    out.push(Buffer.from(JSON.stringify(batch)));
  }
  return out;
}

/** How often a queue of new connections was full. Whose connection is dropped tries again a second later. */
function dropped() {
  const [names, values] = readFileSync('/proc/net/netstat', 'utf8').split('\n').filter((line) => line.startsWith('TcpExt:')).map((line) => line.split(' '));
  return Number(values[names.indexOf('ListenOverflows')] ?? 0);
}

/** From the first alert sent to the last one delivered. This process sends, and then waits for a line. */
async function through(server, sink, all) {
  const agent = new Agent({ keepAlive: true, maxSockets: SENDERS });
  const queue = all.values();
  const [own, drops] = [process.cpuUsage(), dropped()];
  const began = process.hrtime.bigint();
  const since = (at_ns) => Number(BigInt(at_ns) - began) / 1e9;
  const sender = async () => { for (const body of queue) await post(server, agent, body); };
  const sending = Promise.all(Array.from({ length: SENDERS }, sender)).then(() => since(process.hrtime.bigint()));
  const [sent, done] = await Promise.all([sending, delivered(server, sink)]);
  const { user, system } = process.cpuUsage(own);
  agent.destroy();
  if (dropped() > drops) console.log(`${server.name}: a queue of connections was full ${dropped() - drops} times, which costs seconds`);
  return { name: server.name, sent, took: since(done.at_ns), messages: done.messages, receiver: done.cpu, sender: (user + system) / 1e6 };
}

async function delivered(server, sink) {
  try {
    return await sink.all(DEADLINE_MS);
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
    throw new Error(`${server.name}: ${await sink.ended()} of ${alerts} delivered`);
  }
}

function row(groups, { name, sent, took, messages, cpu, peak, receiver, sender }) {
  const cells = [name, groups, sent.toFixed(2), took.toFixed(2), messages, cpu?.toFixed(2) ?? '-', peak?.toFixed(0) ?? '-', receiver.toFixed(3), sender.toFixed(2)];
  console.log(`| ${cells.join(' | ')} |`);
}

/** Sender and receiver alone. After it this process has done all that it will do, and no server waits for its compiler. */
async function straight(program) {
  const sink = await Sink.start(program, alerts);
  try {
    return await through({ name: 'no server', address: sink.address, headers: {} }, sink, bodies(1));
  } finally {
    sink.close();
  }
}

async function storm(program, start, groups) {
  const sink = await Sink.start(program, alerts);
  let server;
  try {
    server = await start(config(sink.url));
    if (!server) return undefined;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const all = bodies(groups);
    forgetPeak(server.pid);
    const before = cpu(server.pid);
    const taken = await through(server, sink, all);
    return { ...taken, cpu: cpu(server.pid) - before, peak: peak(server.pid) };
  } finally {
    await server?.stop();
    sink.close();
  }
}

/** This server's medians, those of Alertmanager, and the first by the second. */
function compared(groups, { tenfold: ours, alertmanager: theirs }) {
  const of = (what, unit, digits) => {
    const [a, b] = [ours, theirs].map((all) => median(all.map((one) => one[what])));
    return `${a.toFixed(digits)} / ${b.toFixed(digits)} ${unit} = ${(a / b).toFixed(2)}`;
  };
  return `${groups} groups, medians of ${ours.length}, tenfold / Alertmanager: all delivered ${of('took', 's', 2)}; CPU ${of('cpu', 's', 2)}; peak ${of('peak', 'MiB', 0)}`;
}

if (!(Number.isInteger(rounds) && rounds >= 1)) {
  console.error('ROUNDS is a number from 1 on');
  process.exit(2);
}
const { folder, program } = compiled();
try {
  const alone = await straight(program);
  console.log(`group_wait ${GROUP_WAIT}\n| ${alerts} alerts | groups | sent s | all delivered s | messages | CPU s | peak MiB | receiver CPU s | sender CPU s |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |`);
  row('-', alone);
  const starts = { alertmanager, tenfold };
  const lines = [];
  for (const groups of GROUPS) {
    const taken = { alertmanager: [], tenfold: [] };
    for (let round = 0; round < rounds; round += 1) {
      const names = Object.keys(starts);
      for (const name of round % 2 === 0 ? names : names.reverse()) {
        const one = await storm(program, starts[name], groups);
        if (!one) continue;
        taken[name].push(one);
        row(groups, one);
      }
    }
    if (Object.values(taken).every((all) => all.length > 0)) lines.push(compared(groups, taken));
  }
  console.log(['', ...lines].join('\n'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
