// What dashboards ask a server: PromQL over new and old samples, and what there is to ask for. It says how many answers there
// were; whether they are right is for tests. `make release` watches which functions that takes (order.mjs).
//
//   node e2e/questions.mjs [ROUNDS]     TENFOLD_BIN names the program
import { exponential, gauge, histogram, instants, send } from './lib/otlp.mjs';
import { encoded, labelled } from './lib/remote-write.mjs';
import { Server } from './lib/server.mjs';

const ROUNDS = Number(process.argv[2] ?? 3);
const SERIES = 200;
const HOUR_MS = 3_600_000;
/** How far back, in hours, and how far apart, in seconds, as panels of a few hundred points ask. */
const RANGES = [[1, 15], [6, 60], [24, 300]];
const QUESTIONS = [
  'reads_total{job="j3",instance="i-13"}',
  'rate(reads_total{job="j3",instance="i-13"}[5m])',
  'sum by (job) (rate(reads_total[5m]))',
  'sum(rate(reads_total{instance=~"i-1.*"}[5m])) / count(reads_total{job!="j1"})',
  'topk(3, max_over_time(queue_length[10m]))',
  'histogram_quantile(0.9, sum by (le) (rate(answer_seconds_bucket[5m])))',
  'histogram_quantile(0.9, sum(rate(wait_seconds[5m])))',
  'avg_over_time(rate(reads_total{job="j3"}[5m])[30m:1m]) > 0 or absent(reads_total)',
];

const server = await Server.start();
try {
  const { secret } = await server.ana.post('/api/tokens', { name: 'questions', kind: 'robot', role: 'admin' });
  const robot = server.ana.bearer(secret);
  await write(robot);
  let answers = 0;
  for (let round = 0; round < ROUNDS; round += 1) answers += await ask(robot);
  console.log(`questions: ${answers} answers`);
} finally {
  await server.stop();
}

/** A day of counters, of which all but the newest hours are in blocks; some minutes of what services send. */
async function write(api) {
  const now = Date.now();
  const series = Array.from({ length: SERIES }, (_, i) => labelled({ __name__: 'reads_total', job: `j${i % 10}`, instance: `i-${i}` }));
  const post = async (path, ms) => {
    const body = encoded(series.map((labels, i) => [labels, (24 * HOUR_MS + ms - now) / 1000 + i]), ms);
    const headers = { ...api.headers, 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy', 'x-prometheus-remote-write-version': '0.1.0' };
    const response = await fetch(`${api.base}${path}`, { method: 'POST', headers, body });
    if (!response.ok) throw new Error(`POST ${path}: ${response.status}: ${await response.text()}`);
  };
  let part = 0;
  for (let ms = now - 24 * HOUR_MS; ms < now - 3 * HOUR_MS; ms += 300_000) await post(`/api/metrics/import?from=questions&part=${(part += 1)}`, ms);
  for (let ms = now - HOUR_MS; ms <= now; ms += 60_000) await post('/api/v1/write', ms);
  const times = instants(10);
  await send(api, 'edge', [
    gauge('queue_length', times, [[{ queue: 'mail' }, () => 5], [{ queue: 'resize' }, (at) => 10 + (at % 3)]]),
    histogram('answer', times, [0.1, 0.5, 1], () => [3, 5, 2, 0], 0.7),
    exponential('wait', times, -4, 6, () => [0, 1, 4, 2, 0, 1], 0.6),
  ]);
}

/** As Grafana and our own graphs ask, each on a connection that is kept, and then as something does that opens one for each. */
async function ask(api) {
  const end = Math.floor(Date.now() / 1000);
  const paths = QUESTIONS.flatMap((query) => [
    `/api/v1/query?${new URLSearchParams({ query, time: end })}`,
    ...RANGES.map(([hours, step]) => `/api/v1/query_range?${new URLSearchParams({ query, start: end - hours * 3600, end, step })}`),
  ]);
  const window = new URLSearchParams({ start: end - 3600, end });
  paths.push(`/api/v1/series?${window}&match[]=reads_total`, `/api/v1/labels?${window}`, `/api/v1/label/instance/values?${window}`);
  for (const path of paths) {
    await api.get(path);
    await new api.constructor(api.base, { ...api.headers, connection: 'close' }).get(path);
  }
  return 2 * paths.length;
}
