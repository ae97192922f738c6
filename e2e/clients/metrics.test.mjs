// Metrics from real clients: the OpenTelemetry SDK for Python over HTTP and gRPC, cumulative and as deltas; StatsD and Graphite
// clients over UDP, TCP and a Unix socket; pages of Prometheus' client for Python.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { until } from '../lib/wait.mjs';
import { Server } from './server.mjs';

const PYTHON = join(import.meta.dirname, '.python/bin/python');
const present = spawnSync(PYTHON, ['-c', 'import opentelemetry.exporter.otlp.proto.grpc']).status === 0;
const skip = present ? false : 'the Python clients of requirements.txt are not installed';

async function freePort() {
  const taken = createServer();
  await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address();
  await new Promise((resolve) => taken.close(resolve));
  return port;
}

let server;
let token;
let ports;
let pagePort;
let pages;
let folder;
before(async () => {
  if (!present) return;
  folder = mkdtempSync(join(tmpdir(), 'tenfold-statsd-'));
  ports = [await freePort(), await freePort(), join(folder, 'socket'), await freePort()];
  pagePort = await freePort();
  const statsd = `listen = "127.0.0.1:${ports[0]}"\ntcp_listen = "127.0.0.1:${ports[1]}"\nunix_socket = "${ports[2]}"\nflush_interval_ms = 200\n`;
  const graphite = `[graphite]\nlisten = "127.0.0.1:${ports[3]}"\ntemplates = ["servers.* .host.measurement*"]\n`;
  const scraped = `[metrics]\nscrape_interval_ms = 200\n[[metrics.static_targets]]\njob = "pages"\nurl = "http://127.0.0.1:${pagePort}/metrics"\n`;
  server = await Server.start(graphite + scraped, statsd);
  token = (await server.api.post('/api/tokens', { name: 'otel', kind: 'metrics' })).secret;
});
after(async () => {
  pages?.kill();
  await server?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Values by the labels that are asked for. */
async function values(query, label) {
  const answer = await server.api.get(`/api/v1/query?${new URLSearchParams({ query })}`);
  return Object.fromEntries(answer.data.result.map(({ metric, value }) => [metric[label] ?? '', Number(value[1])]));
}

for (const transport of ['http', 'grpc']) {
  for (const temporality of ['cumulative', 'delta']) {
    test(`${transport}, ${temporality}`, { skip }, async () => {
      const args = [join(import.meta.dirname, 'otlp.py'), transport, temporality, server.url, token];
      const { stdout, stderr } = await promisify(execFile)(PYTHON, args, { timeout: 60_000 });
      assert.equal(stdout.trim(), 'exported', stderr);
      const of = `{job="otlp-${transport}-${temporality}"}`;
      assert.deepEqual(await values(`uploads_bytes_total${of}`, 'http_method'), { PUT: 30 });
      assert.deepEqual(await values(`open_connections${of}`, ''), { '': 4 });
      assert.deepEqual(await values(`queue_size${of}`, 'queue'), { resize: 7 });
      assert.deepEqual(await values(`latency_seconds_count${of}`, 'instance'), { one: 6 });
      const buckets = await values(`latency_seconds_bucket${of}`, 'le');
      assert.deepEqual([buckets['0'], buckets['5'], buckets['+Inf']], [0, 6, 6]);
      assert.deepEqual(await values(`histogram_count(fine_seconds${of})`, ''), { '': 6 });
      const sum = (await values(`histogram_sum(fine_seconds${of})`, ''))[''];
      assert.ok(Math.abs(sum - 8.64) < 1e-9, `${sum}`);
      const median = (await values(`histogram_quantile(0.5, fine_seconds${of})`, ''))[''];
      assert.ok(Math.abs(median - 0.3) < 0.01, `${median}`);
      assert.deepEqual(await values(`target_info${of}`, 'host_name'), { h1: 1 });
    });
  }
}

test('StatsD and Graphite clients', { skip }, async () => {
  const args = [join(import.meta.dirname, 'statsd_graphite.py'), ...ports.map(String)];
  const { stdout, stderr } = await promisify(execFile)(PYTHON, args, { timeout: 60_000 });
  assert.equal(stdout.trim(), 'sent', stderr);
  const told = async (query, label, wanted) => {
    const found = await until(`${query} is ${JSON.stringify(wanted)}`, async () => {
      const got = await values(query, label);
      return JSON.stringify(got) === JSON.stringify(wanted) && got;
    });
    assert.deepEqual(found, wanted);
  };
  await told('etsy_uploads_total', '', { '': 3 });
  await told('etsy_queue', '', { '': 5 });
  await told('etsy_resize_seconds_sum', '', { '': 0.32 });
  await told('max_over_time(etsy_visitors[5m])', '', { '': 2 });
  await told('tcp_uploads_total', '', { '': 100 });
  await told('dog_uploads_total{kind="photo"}', 'env', { prod: 4 });
  await told('dog_size_sum', 'env', { prod: 9.5 });
  await told('statsd_service_check{check="redis",zone="a",env="prod",to=""}', 'host', { h1: 2 });
  await told('cpu_load', 'host', { h1: 0.5 });
  await told('disk_used{host="h1"}', 'rack', { a1: 12 });
  const own = await server.api.get('/metrics');
  assert.match(own, /tenfold_statsd_events_total\{transport="unix"\} 1\n/);
  const [event] = await until('the event is in the record', async () => {
    const { items } = await server.api.get('/api/events?kind=statsd.event');
    return items.length > 0 && items;
  });
  assert.equal(event.text, 'a title: a text');
  assert.doesNotMatch(own, /tenfold_statsd_events_ignored_total\S* [1-9]/);
  assert.match(own, /tenfold_statsd_service_checks_total\{transport="unix"\} 1\n/);
  assert.doesNotMatch(own, /tenfold_statsd_bad_lines_total\S* [1-9]/);
});

test("pages of Prometheus' client", { skip }, async () => {
  pages = spawn(PYTHON, [join(import.meta.dirname, 'exposition.py'), String(pagePort)], { stdio: 'inherit' });
  const same = (one, other) => JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
  const told = async (query, label, wanted) =>
    until(`${query} is ${JSON.stringify(wanted)}`, async () => same(await values(query, label), wanted));
  await told('jobs_total{job="pages"}', 'queue', { 'a"b\\c\n': 3 });
  await told('latency_seconds_bucket{job="pages"}', 'le', { '+Inf': 2, '0.5': 0, '1.0': 1, '10.0': 1 });
  await told('size_bytes_sum{job="pages"}', '', { '': 4 });
  await told('temp{job="pages"}', '', { '': null });
  await told('build_info{job="pages"}', 'v', { 1: 1 });
  await told('st{job="pages"}', 'st', { x: 1, y: 0 });
  // It began before it was first asked: the increase since then is seen, and no series says so.
  await told('jobs_created or latency_seconds_created', '', {});
  await told('min_over_time(jobs_total{job="pages"}[5m])', '', { '': 0 });
  const { data } = await server.api.get(`/api/v1/query_exemplars?${new URLSearchParams({ query: '{job="pages"}', start: '0', end: '9999999999' })}`);
  const exemplars = data.map(({ seriesLabels, exemplars: all }) => [seriesLabels.__name__, all.map(({ labels, value }) => [labels.trace_id, value])]);
  assert.deepEqual(exemplars, [['jobs_total', [['abc', '3']]], ['latency_seconds_bucket', [['def', '0.7']]]]);
  const { data: about } = await server.api.get('/api/v1/metadata?metric=jobs');
  assert.deepEqual(about, { jobs: [{ type: 'counter', help: 'Jobs "done"\n.', unit: '' }] });
});

test('nothing was refused', { skip }, async () => {
  const { items } = await server.api.get('/api/metrics/sources');
  assert.deepEqual(items.map(({ protocol, name }) => `${protocol} ${name}`), ['graphite tcp', 'otlp otel', 'statsd statsd']);
  assert.deepEqual(items.flatMap(({ refused }) => refused), []);
});
