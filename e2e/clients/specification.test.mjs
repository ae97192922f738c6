// Every state of Unleash's client specification, imported into a server of its own, must give the specified answers
// through the Node SDK and the Python SDK as they are, and come out of the export as it went in.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';

import { Unleash } from 'unleash-client';

import { until } from '../lib/wait.mjs';
import { canonical } from './canonical.mjs';
import { hasPython } from './kinds.mjs';
import { Lines } from './lines.mjs';
import { Server } from './server.mjs';

const FOLDER = join(dirname(createRequire(import.meta.url).resolve('@unleash/client-specification/package.json')), 'specifications');
const FILES = JSON.parse(readFileSync(join(FOLDER, 'index.json'), 'utf8'));

let python;
const sum = { node: 0, python: 0, cases: 0, variants: 0 };

before(() => {
  if (hasPython()) python = new Lines(join(import.meta.dirname, '.python/bin/python'), [join(import.meta.dirname, 'spec.py')]);
  else console.log('skipped: the Python clients of requirements.txt are not installed, so the Node SDK alone is asked');
});

after(async () => {
  await python?.stop();
  const by = python ? `${sum.node} through the Node SDK, ${sum.python} through the Python SDK` : `${sum.node} through the Node SDK`;
  console.log(`client specification: of ${sum.cases} cases (${sum.variants} about variants) answered as specified: ${by}`);
});

/** Expected members alone: SDKs add some of their own. */
function comparable(expected, answer) {
  if (typeof expected === 'boolean') return answer;
  return Object.fromEntries(Object.keys(expected).map((name) => [name, answer[name]]));
}

function differences(cases, answers) {
  return cases.flatMap(({ toggleName, description, expectedResult }, i) => {
    const got = comparable(expectedResult, answers[i]);
    const sorted = (v) => JSON.stringify(v, (_, o) => (o && typeof o === 'object' ? Object.fromEntries(Object.entries(o).sort()) : o));
    return sorted(got) === sorted(expectedResult) ? [] : [{ toggleName, description, wanted: sorted(expectedResult), got: sorted(got) }];
  });
}

function askNode(unleash, cases) {
  return cases.map(({ toggleName, context, isVariant }) => {
    const { currentTime, ...rest } = context;
    const asked = currentTime === undefined ? rest : { ...rest, currentTime: new Date(currentTime) };
    return isVariant ? unleash.getVariant(toggleName, asked) : unleash.isEnabled(toggleName, asked);
  });
}

function nodeSdk(server, token, streaming) {
  const unleash = new Unleash({
    url: `${server.url}/api/`,
    appName: 'specification',
    customHeaders: { Authorization: token },
    refreshInterval: 3_600_000,
    disableMetrics: true,
    skipInstanceCountWarning: true,
    storageProvider: { get: async () => undefined, set: async () => {} },
    experimentalMode: streaming ? { type: 'streaming' } : undefined,
  });
  unleash.on('warn', () => {}); // a flag that does not exist
  const failures = [];
  unleash.on('error', (error) => failures.push(error.message));
  return new Promise((resolve, reject) => {
    unleash.once('synchronized', () => resolve(unleash));
    setTimeout(() => reject(new Error(`the Node SDK did not start: ${failures}`)), 20_000).unref();
  });
}

async function take(server, document) {
  const report = await server.api.post('/api/flags/import', { document, format: 'unleash-client', environment: 'production' });
  assert.deepEqual(report.refused, [], JSON.stringify(report.notes, null, 1));
  return report;
}

/** A list of changes, one after the other, while SDKs follow the stream. */
async function takeEvents(server, events) {
  for (const event of events) {
    const features = event.features ?? (event.feature ? [event.feature] : []);
    const segments = event.segments ?? (event.segment ? [event.segment] : []);
    if (event.type === 'feature-removed') await server.api.call('DELETE', `/api/flags/${event.featureName}`);
    else await take(server, { version: 2, features, segments });
  }
}

function counted(sdk, spec, cases, wrong) {
  sum[sdk] += cases.length - wrong.length;
  assert.deepEqual(wrong, [], `${sdk} SDK, ${spec}`);
}

for (const file of FILES) {
  const { name, state, tests = [], variantTests = [] } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
  test(name, async () => {
    const cases = [...tests.map((c) => ({ ...c, isVariant: false })), ...variantTests.map((c) => ({ ...c, isVariant: true }))];
    sum.cases += cases.length;
    sum.variants += variantTests.length;
    const streaming = Boolean(state.events);
    const server = await Server.start();
    let unleash;
    try {
      const token = await server.token('specification', 'client');
      if (!streaming) {
        await take(server, state);
        const { document } = await server.api.get('/api/flags/export?format=unleash-client&environment=production');
        assert.deepEqual(canonical(document), canonical(state), 'the export says what the import said');
      }
      unleash = await nodeSdk(server, token, streaming);
      const job = {
        url: server.url,
        token,
        folder: join(server.folder, 'python'),
        streaming,
        cases: cases.map(({ toggleName, context, isVariant }) => [toggleName, context, isVariant]),
      };
      if (!streaming) {
        counted('node', name, cases, differences(cases, askNode(unleash, cases)));
        if (python) counted('python', name, cases, differences(cases, JSON.parse(await python.ask(JSON.stringify(job)))));
        return;
      }
      let asked = python && JSON.parse(await python.ask(JSON.stringify(job)));
      await takeEvents(server, state.events);
      const arrived = { within_ms: 15_000 };
      await until('the Node SDK follows', () => differences(cases, askNode(unleash, cases)).length === 0, arrived).catch(() => {});
      counted('node', name, cases, differences(cases, askNode(unleash, cases)));
      if (!python) return;
      const again = async () => {
        asked = JSON.parse(await python.ask(JSON.stringify({ again: true, cases: job.cases })));
        return differences(cases, asked).length === 0;
      };
      await until('the Python SDK follows', again, arrived).catch(() => {});
      counted('python', name, cases, differences(cases, asked));
    } finally {
      unleash?.destroy();
      await server.stop();
    }
  });
}
