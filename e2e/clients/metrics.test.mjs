// Metrics that the OpenTelemetry SDK for Python exports, over HTTP and gRPC, cumulative and as deltas.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { Server } from './server.mjs';

const PYTHON = join(import.meta.dirname, '.python/bin/python');
const present = spawnSync(PYTHON, ['-c', 'import opentelemetry.exporter.otlp.proto.grpc']).status === 0;
const skip = present ? false : 'the Python clients of requirements.txt are not installed';

let server;
let token;
before(async () => {
  if (!present) return;
  server = await Server.start();
  token = (await server.api.post('/api/tokens', { name: 'otel', kind: 'metrics' })).secret;
});
after(() => server?.stop());

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

test('nothing was refused', { skip }, async () => {
  const { items } = await server.api.get('/api/metrics/sources');
  assert.deepEqual(items.map(({ protocol, name, refused }) => ({ protocol, name, refused })), [{ protocol: 'otlp', name: 'otel', refused: [] }]);
});
