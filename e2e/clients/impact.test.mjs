// What Unleash SDKs, as they are, measured and counted stands in the store of samples: it is found by PromQL, which is what
// graphs and guards ask.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { initialize } from 'unleash-client';
import { UnleashClient } from 'unleash-proxy-client';

import { until } from '../lib/wait.mjs';
import { Server } from './server.mjs';

const PYTHON = join(import.meta.dirname, '.python/bin/python');
// Colour is given to everybody: two in three blue.
const COLOUR = {
  value_type: 'string',
  environments: {
    production: {
      enabled: true,
      off_value: 'grey',
      variants: [
        { name: 'a', weight: 1, value: 'red' },
        { name: 'b', weight: 2, value: 'blue' },
      ],
    },
  },
};

let server;
let tokens;

before(async () => {
  server = await Server.start();
  await server.api.put('/api/flags/colour', COLOUR);
  tokens = { client: await server.token('service', 'client'), frontend: await server.token('page', 'frontend') };
});

after(() => server?.stop());

/** The newest value of the one series that answers. */
async function value(query) {
  const { data } = await server.api.get(`/api/v1/query?${new URLSearchParams({ query })}`);
  assert.ok(data.result.length <= 1, `${query} is one series`);
  return data.result.length === 0 ? undefined : Number(data.result[0].value[1]);
}

async function arrives(query, wanted) {
  let found;
  const same = async () => (found = await value(query)) === wanted;
  await until(query, same, { within_ms: 20_000 }).catch(() => assert.fail(`${query} is ${found}, not ${wanted}`));
}

/** `gauges`: the browser SDK has none. */
async function measured(app, gauges = true) {
  const of = `{appName="${app}",environment="production"}`;
  await arrives(`impact_purchases_total${of}`, 3);
  if (gauges) await arrives(`impact_open_carts${of}`, 7.5);
  await arrives(`impact_checkout_seconds_count${of}`, 3);
  await arrives(`sum(impact_checkout_seconds_sum${of})`, 5.55);
  await arrives(`impact_checkout_seconds_bucket{appName="${app}",le="1"}`, 2);
  await arrives(`impact_checkout_seconds_bucket{appName="${app}",le="+Inf"}`, 3);
}

/** The same for both SDKs whose interface is the same. */
function measure(impact, gauges = true) {
  impact.defineCounter('purchases', 'Number of purchases');
  if (gauges) impact.defineGauge('open_carts', 'Carts that are open');
  impact.defineHistogram('checkout_seconds', 'How long a checkout takes', [0.1, 1]);
  for (const n of [1, 2]) impact.incrementCounter('purchases', n);
  if (gauges) impact.updateGauge('open_carts', 7.5);
  for (const seconds of [0.05, 0.5, 5]) impact.observeHistogram('checkout_seconds', seconds);
}

test('Unleash Node SDK', async () => {
  const unleash = initialize({
    url: `${server.url}/api/`,
    appName: 'node',
    customHeaders: { Authorization: tokens.client },
    refreshInterval: 3_600_000,
    metricsInterval: 100,
    skipInstanceCountWarning: true,
    storageProvider: { get: async () => undefined, set: async () => {} },
  });
  try {
    await new Promise((resolve) => unleash.once('synchronized', resolve));
    measure(unleash.impactMetrics);
    await measured('node');
  } finally {
    unleash.destroy();
  }
});

test('Unleash Python SDK, and the variants that it gave', async (t) => {
  if (spawnSync(PYTHON, ['-c', 'import UnleashClient']).status !== 0) return t.skip('the Python clients of requirements.txt are not installed');
  await promisify(execFile)(PYTHON, [join(import.meta.dirname, 'impact.py'), server.url, tokens.client, join(server.folder, 'python')]);
  await measured('python');
  const given = { a: 0, b: 0 };
  for (const userId of ['1', '2', '3']) {
    const { variant } = await server.api.post('/api/flags/colour/evaluate', { environment: 'production', context: { userId } });
    given[variant] += 1;
  }
  const of = 'flag="colour",environment="production"';
  for (const [variant, n] of Object.entries(given)) if (n > 0) await arrives(`sum(tenfold_flag_variants_total{${of},variant="${variant}"})`, n);
  await arrives(`sum(tenfold_flag_evaluations_total{${of},enabled="true"})`, 3);
});

test('Unleash browser SDK', async () => {
  const client = new UnleashClient({
    url: `${server.url}/api/frontend`,
    clientKey: tokens.frontend,
    appName: 'page',
    refreshInterval: 0,
    metricsInterval: 1,
    metricsIntervalInitial: 0,
    context: { userId: '1' },
    storageProvider: { get: async () => undefined, save: async () => {} },
  });
  try {
    await client.start();
    measure(client.impactMetrics, false);
    await measured('page', false);
  } finally {
    client.stop();
  }
});
