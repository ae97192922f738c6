// Clients of other projects, local evaluation and remote, must give every person the same answer as the server itself.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { OpenFeature as WebOpenFeature, ProviderEvents } from '@openfeature/web-sdk';
import { EventSource } from 'eventsource';
import { initialize } from 'unleash-client';
import { UnleashClient } from 'unleash-proxy-client';

import { until } from '../lib/wait.mjs';
import { Server } from './server.mjs';

const PEOPLE = Array.from({ length: 200 }, (_, i) => [String(i * 7 + 1), ['pro', 'free'][i % 2]]);
const PYTHON = join(import.meta.dirname, '.python/bin/python');

let server;
let token;
let frontendToken;
let expected;

const FLAGS = {
  half: { environments: { production: { enabled: true, rollout_percent: 50 } } },
  pro_only: {
    environments: {
      production: {
        enabled: true,
        strategies: [{ name: 'default', constraints: [{ contextName: 'plan', operator: 'IN', values: ['pro'] }] }],
      },
    },
  },
  colour: {
    value_type: 'string',
    environments: {
      production: {
        enabled: true,
        off_value: 'grey',
        strategies: [{ name: 'flexibleRollout', parameters: { rollout: '70' } }],
        variants: [
          { name: 'a', weight: 300, value: 'red' },
          { name: 'b', weight: 700, value: 'blue' },
        ],
      },
    },
  },
  limit: {
    value_type: 'float',
    environments: {
      production: {
        enabled: true,
        off_value: 0.5,
        strategies: [{ name: 'flexibleRollout', parameters: { rollout: '40' } }],
        variants: [{ name: 'wide', weight: 1, value: 2 }],
      },
    },
  },
};

before(async () => {
  server = await Server.start();
  for (const [key, flag] of Object.entries(FLAGS)) await server.api.put(`/api/flags/${key}`, flag);
  token = await server.token('photos', 'client');
  frontendToken = await server.token('photos-page', 'frontend');
  expected = {};
  for (const [person, plan] of PEOPLE) {
    const ask = async (key) => {
      const context = { userId: person, plan };
      return (await server.api.post(`/api/flags/${key}/evaluate`, { environment: 'production', context })).value;
    };
    expected[person] = await Promise.all(['half', 'pro_only', 'colour', 'limit'].map(ask));
  }
});

after(() => server?.stop());

test('the answers differ between people', () => {
  for (let column = 0; column < 4; column += 1) {
    const values = new Set(Object.values(expected).map((row) => row[column]));
    assert.ok(values.size >= 2, `column ${column} has ${[...values]}`);
  }
});

test('Unleash Node SDK', async () => {
  const unleash = initialize({
    url: `${server.url}/api/`,
    appName: 'node',
    customHeaders: { Authorization: token },
    refreshInterval: 3_600_000,
    metricsInterval: 100,
    skipInstanceCountWarning: true,
    storageProvider: { get: async () => undefined, set: async () => {} },
  });
  const failures = [];
  unleash.on('error', (error) => failures.push(error.message));
  unleash.on('warn', (warning) => failures.push(String(warning)));
  await new Promise((resolve) => unleash.once('synchronized', resolve));
  const sent = new Promise((resolve) => unleash.once('sent', resolve));
  const before = (await server.api.get('/api/flags/half')).environments.production.usage;
  for (const [person, plan] of PEOPLE) {
    const context = { userId: person, properties: { plan } };
    const colour = unleash.getVariant('colour', context);
    const limit = unleash.getVariant('limit', context);
    const row = [
      unleash.isEnabled('half', context),
      unleash.isEnabled('pro_only', context),
      colour.enabled ? colour.payload.value : 'grey',
      limit.enabled ? Number(limit.payload.value) : 0.5,
    ];
    assert.deepEqual(row, expected[person], `person ${person}`);
  }
  await sent;
  const usage = (await server.api.get('/api/flags/half')).environments.production.usage;
  const counted = usage.yes + usage.no - before.yes - before.no;
  assert.equal(counted, PEOPLE.length, 'what the SDK counted arrives');
  assert.deepEqual(failures, []);
  unleash.destroy();
});

test('Unleash Node SDK, streaming: a flip arrives by itself', async () => {
  const unleash = initialize({
    url: `${server.url}/api/`,
    appName: 'node-streaming',
    customHeaders: { Authorization: token },
    metricsInterval: 0,
    disableMetrics: true,
    skipInstanceCountWarning: true,
    experimentalMode: { type: 'streaming' },
    storageProvider: { get: async () => undefined, set: async () => {} },
  });
  await new Promise((resolve) => unleash.once('synchronized', resolve));
  const pro = { userId: '1', properties: { plan: 'pro' } };
  assert.equal(unleash.isEnabled('pro_only', pro), true);
  await server.api.post('/api/flags/pro_only/switch', { environment: 'production', enabled: false });
  await until('the SDK has the flip', () => !unleash.isEnabled('pro_only', pro), { poll_ms: 2 });
  await server.api.post('/api/flags/pro_only/switch', { environment: 'production', enabled: true });
  await until('the SDK has it back', () => unleash.isEnabled('pro_only', pro), { poll_ms: 2 });
  unleash.destroy();
});

test('OpenFeature server SDK over OFREP', async () => {
  const provider = new OFREPProvider({ baseUrl: server.url, headers: [['Authorization', `Bearer ${token}`]] });
  await OpenFeature.setProviderAndWait(provider);
  const client = OpenFeature.getClient();
  for (const [person, plan] of PEOPLE) {
    const context = { targetingKey: person, plan };
    const row = [
      await client.getBooleanValue('half', false, context),
      await client.getBooleanValue('pro_only', false, context),
      await client.getStringValue('colour', 'default of the code', context),
      await client.getNumberValue('limit', -1, context),
    ];
    assert.deepEqual(row, expected[person], `person ${person}`);
  }
  const missing = await client.getBooleanDetails('ghost', true, { targetingKey: '1' });
  assert.deepEqual([missing.value, missing.errorCode], [true, 'FLAG_NOT_FOUND']);
  const nobody = await client.getBooleanDetails('half', true, {});
  assert.deepEqual([nobody.value, nobody.errorCode], [true, 'TARGETING_KEY_MISSING']);
  await OpenFeature.close();
});

test('OpenFeature web SDK over OFREP: bulk, then a flip by the stream', async () => {
  globalThis.EventSource = EventSource;
  const headers = [['Authorization', `Bearer ${frontendToken}`]];
  const provider = new OFREPWebProvider({ baseUrl: server.url, headers, pollInterval: -1 });
  await WebOpenFeature.setContext({ targetingKey: '1', plan: 'pro' });
  await WebOpenFeature.setProviderAndWait(provider);
  const client = WebOpenFeature.getClient();
  const row = () => [
    client.getBooleanValue('half', false),
    client.getBooleanValue('pro_only', false),
    client.getStringValue('colour', ''),
    client.getNumberValue('limit', -1),
  ];
  assert.deepEqual(row(), expected['1']);
  const changed = new Promise((resolve) => client.addHandler(ProviderEvents.ConfigurationChanged, resolve));
  await server.api.post('/api/flags/pro_only/switch', { environment: 'production', enabled: false });
  await changed;
  await until('the page has the flip', () => client.getBooleanValue('pro_only', true) === false);
  await server.api.post('/api/flags/pro_only/switch', { environment: 'production', enabled: true });
  await until('the page has it back', () => client.getBooleanValue('pro_only', false));
  await WebOpenFeature.close();
});

test('Unleash browser SDK over the frontend API', async () => {
  for (const usePOSTrequests of [false, true]) {
    const client = new UnleashClient({
      url: `${server.url}/api/frontend`,
      clientKey: frontendToken,
      appName: 'page',
      refreshInterval: 0,
      disableMetrics: true,
      usePOSTrequests,
      context: { userId: '1', properties: { plan: 'pro' } },
      storageProvider: { get: async () => undefined, save: async () => {} },
    });
    await client.start();
    const [half, proOnly, colour] = expected['1'];
    assert.equal(client.isEnabled('half'), half);
    assert.equal(client.isEnabled('pro_only'), proOnly);
    assert.equal(client.getVariant('colour').payload?.value ?? 'grey', colour);
    client.stop();
  }
});

test('Python: Unleash SDK and OpenFeature over OFREP', async (t) => {
  const check = spawnSync(PYTHON, ['-c', 'import UnleashClient, openfeature.contrib.provider.ofrep']);
  if (check.status !== 0) {
    t.skip('the Python clients of e2e/clients/requirements.txt are not installed');
    return;
  }
  const script = join(import.meta.dirname, 'ask.py');
  const args = [script, server.url, token, JSON.stringify(PEOPLE), join(server.folder, 'python')];
  const { stdout } = await promisify(execFile)(PYTHON, args);
  const answers = JSON.parse(stdout.trim().split('\n').at(-1));
  assert.deepEqual(answers.ofrep, expected);
  assert.deepEqual(answers.unleash, expected);
  assert.deepEqual(answers.missing, [true, 'FLAG_NOT_FOUND']);
});

test('the examples of the guide run as they stand', async () => {
  const guide = readFileSync(join(import.meta.dirname, '../../docs/guide/flags.md'), 'utf8');
  const examples = [...guide.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
  assert.equal(examples.length, 2);
  await server.api.put('/api/flags/new_uploader', { environments: { production: { enabled: true } } });
  const [typed] = [...guide.matchAll(/```json\n(.*?)```/gs)].map(([, text]) => JSON.parse(text)).filter((flag) => flag.value_type);
  typed.environments.production.strategies[0].parameters.rollout = '100';
  await server.api.put('/api/flags/upload_limit', typed);
  const env = { ...process.env, FLAGS_URL: server.url, FLAGS_TOKEN: token };
  for (const [i, code] of examples.entries()) {
    const args = ['--input-type=module', '--eval', code];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env, cwd: import.meta.dirname });
    assert.match(stdout, /new_uploader true/, `example ${i + 1}`);
    if (i === 0) assert.match(stdout, /upload_limit 100/);
  }
});
