// Ten thousand alerting rules in a hundred groups over ten thousand series, by this server and by Debian's Prometheus, at once,
// over the same samples, which are pushed to each by remote write every 15 s. First the samples alone, then with the rules;
// the difference is what the rules cost. This server stands there twice: evaluating rules also when samples come, as it
// does without settings, and on the interval alone, as Prometheus does. Prints processor seconds of each process by /proc.
//
//   node e2e/alertmanager/rules.bench.mjs [SECONDS]     of each part, 120 if none are said; TENFOLD_BIN names the program
import { Server } from '../clients/server.mjs';
import { encoded, labelled, remoteWrite } from '../lib/remote-write.mjs';
import { cpu, forgetPeak, peak } from './measures.mjs';
import { prometheus } from './rivals.mjs';

const seconds = Number(process.argv[2] ?? 120);
const GROUPS = 100;
const INSTANCES = 25;
const ROUND_MS = 15_000;
const BATCH = 1_000;
/** Groups of one rule file; here a file has at most a mebibyte. */
const GROUPS_OF_FILE = 10;
/** Rounds before samples alone are measured: what a server does after its start is over, or the rules would be told as cheaper. */
const WARM_ROUNDS = 4;
/** Rounds after the rules were put in which nothing is measured: rates need two samples, and the first alerts fire. */
const SETTLE_ROUNDS = 3;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const numbers = (count) => Array.from({ length: count }, (_, i) => i);

/** Of each job: for each instance its load, its requests and errors as counters, and how much of its disk is free. */
const METRICS = ['load', 'requests_total', 'errors_total', 'disk_free_ratio'];

function rulesOf(job) {
  const of = (i) => `{job="job-${job}",instance="i-${i}"}`;
  const each = (name, count, expr) => numbers(count).map((i) => [`${name}_${job}_${i}`, expr(i)]);
  return [
    ...each('Load', 25, (i) => `load${of(i)} > 90`),
    ...each('Requests', 25, (i) => `rate(requests_total${of(i)}[1m]) > 1000`),
    ...each('Errors', 25, (i) => `rate(errors_total${of(i)}[1m]) / rate(requests_total${of(i)}[1m]) > 0.5`),
    ...each('Disk', 20, (i) => `disk_free_ratio${of(i)} < 0.05`),
    ...each('JobRequests', 5, (i) => `sum by (job) (rate(requests_total{job="job-${job}"}[1m])) > ${100_000 * (i + 1)}`),
  ];
}

function group(job) {
  const rules = rulesOf(job).map(([name, expr]) => `  - alert: ${name}
    expr: '${expr}'
    labels: {severity: warning, owner: team-${job}}
    annotations: {summary: '{{ $labels.instance }} is at {{ $value | humanize }}', runbook_url: 'https://example.org/${name}'}
`);
  return `- name: group-${job}\n  interval: 15s\n  rules:\n${rules.join('')}`;
}

const series = numbers(GROUPS).flatMap((job) => numbers(INSTANCES).flatMap((i) => METRICS.map((metric) => ({
  metric, i, labels: labelled({ __name__: metric, job: `job-${job}`, instance: `i-${i}` }),
}))));

/** One instance of each job is over its limit of load all the time: a hundred alerts fire. */
function value({ metric, i }, round) {
  if (metric === 'load') return i === 0 ? 95 + (round % 3) : 10 + ((round + i) % 50);
  if (metric === 'disk_free_ratio') return 0.4 + ((round * 7 + i) % 100) / 1000;
  return metric === 'requests_total' ? round * (300 + i) : round * (i % 4);
}

let round = 0;
async function push(servers) {
  const at_ms = Date.now();
  for (let first = 0; first < series.length; first += BATCH) {
    const body = encoded(series.slice(first, first + BATCH).map((one) => [one.labels, value(one, round)]), at_ms);
    await Promise.all(servers.map((server) => remoteWrite(server.base, server.headers, body)));
  }
  round += 1;
}

async function rounds(servers, count) {
  for (let i = 0; i < count; i += 1) {
    const next = performance.now() + ROUND_MS;
    await push(servers);
    await pause(Math.max(0, next - performance.now()));
  }
}

/** The sum of the series of a metrics page whose beginnings are these. */
function sum(page, beginning) {
  return page.split('\n').filter((line) => line.startsWith(beginning)).reduce((all, line) => all + Number(line.split(' ').at(-1)), 0);
}

async function ours(name, settings) {
  const server = await Server.start(settings);
  const headers = { authorization: `Bearer ${await server.token('bench', 'metrics')}` };
  const put = async () => {
    for (let first = 0; first < GROUPS; first += GROUPS_OF_FILE) {
      const yaml = `groups:\n${numbers(GROUPS_OF_FILE).map((i) => group(first + i)).join('')}`;
      await server.api.put(`/api/rules/rules-${first}`, { yaml });
    }
  };
  const groups = async () => {
    const metrics = await server.api.get('/metrics');
    const of = (on) => `{on="${on}"}`;
    return {
      seconds: sum(metrics, `tenfold_rule_evaluation_seconds_total${of('interval')}`),
      count: sum(metrics, `tenfold_rule_groups_evaluated_total${of('interval')}`),
      extra: sum(metrics, `tenfold_rule_evaluations_total${of('arrival')}`),
    };
  };
  const rules = () => server.api.get('/api/v1/rules');
  return { name, pid: server.child.pid, base: server.url, headers, put, groups, rules, stop: () => server.stop() };
}

async function theirs() {
  const server = await prometheus();
  if (!server) return undefined;
  const base = `http://${server.address}`;
  const put = () => server.rules(`groups:\n${numbers(GROUPS).map(group).join('')}`);
  const groups = async () => {
    const metrics = await (await fetch(`${base}/metrics`)).text();
    return { seconds: sum(metrics, 'prometheus_rule_group_duration_seconds_sum'), count: sum(metrics, 'prometheus_rule_group_duration_seconds_count'), extra: 0 };
  };
  const rules = async () => (await fetch(`${base}/api/v1/rules`)).json();
  return { name: server.name, pid: server.pid, base, headers: {}, put, groups, rules, stop: server.stop };
}

/** All rules were evaluated without an error, and the alerts that have to fire do. */
async function checked(server) {
  const all = (await server.rules()).data.groups.flatMap(({ rules }) => rules);
  const good = all.filter(({ health }) => health === 'ok').length;
  const firing = all.filter(({ state }) => state === 'firing').length;
  if (good !== GROUPS * 100 || firing !== GROUPS) throw new Error(`${server.name}: of ${all.length} rules ${good} are well, and ${firing} fire`);
}

const servers = [await theirs(), await ours('tenfold', ''), await ours('tenfold, on_arrival = false', '[alerts]\non_arrival = false\n')].filter(Boolean);
const count = Math.max(1, Math.round((seconds * 1000) / ROUND_MS));
await rounds(servers, WARM_ROUNDS);
for (const { pid } of servers) forgetPeak(pid);
const start = servers.map(({ pid }) => cpu(pid));
await rounds(servers, count);
const alone = servers.map(({ pid }, i) => cpu(pid) - start[i]);
for (const server of servers) await server.put();
await rounds(servers, SETTLE_ROUNDS);
const before = servers.map(({ pid }) => cpu(pid));
const groupsBefore = await Promise.all(servers.map((server) => server.groups()));
await rounds(servers, count);
const together = servers.map(({ pid }, i) => cpu(pid) - before[i]);
const groupsAfter = await Promise.all(servers.map((server) => server.groups()));
for (const server of servers) await checked(server);

console.log(`| ${GROUPS * 100} rules, ${series.length} series, ${count * (ROUND_MS / 1000)} s | CPU s, samples alone | with rules | of the rules | ms a group, mean | evaluations when samples came | peak MiB |`);
console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |');
for (const [i, server] of servers.entries()) {
  const [a, b] = [groupsBefore[i], groupsAfter[i]];
  const cells = [alone[i].toFixed(2), together[i].toFixed(2), (together[i] - alone[i]).toFixed(2), ((b.seconds - a.seconds) * 1000 / (b.count - a.count)).toFixed(2), b.extra - a.extra, peak(server.pid).toFixed(0)];
  console.log(`| ${server.name} | ${cells.join(' | ')} |`);
}
for (const server of servers) await server.stop();
process.exit(0);
