// The clients that the tests of outages follow: other projects' SDKs as they are, and our own. Each is started with
// short intervals and asked for one flag.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { OpenFeature as WebOpenFeature } from '@openfeature/web-sdk';
import { EventSource } from 'eventsource';
import { Unleash } from 'unleash-client';
import { UnleashClient } from 'unleash-proxy-client';

import { TENFOLD } from '../lib/binary.mjs';
import { Lines } from './lines.mjs';

export const FLAG = 'kept';
const PYTHON = join(import.meta.dirname, '.python/bin/python');
const RUST = join(dirname(TENFOLD), 'examples/ask');

export const hasPython = () => existsSync(PYTHON) && spawnSync(PYTHON, ['-c', 'import UnleashClient, openfeature.contrib.provider.ofrep']).status === 0;

// The browser SDK writes each failed request to the console, beside the event that tells it.
const complain = console.error;
console.error = (...said) => String(said[0]).startsWith('Unleash:') || complain(...said);

/** What a browser keeps between two visits. */
const visits = new Map();
globalThis.localStorage ??= {
  getItem: (key) => visits.get(key) ?? null,
  setItem: (key, value) => visits.set(key, String(value)),
  removeItem: (key) => visits.delete(key),
};
globalThis.EventSource ??= EventSource;

function unleashNode(experimentalMode) {
  return async ({ url, client, folder }) => {
    const unleash = new Unleash({
      url: `${url}/api/`,
      appName: 'node',
      customHeaders: { Authorization: client },
      refreshInterval: 1_000,
      metricsInterval: 1_000,
      timeout: 2_000,
      skipInstanceCountWarning: true,
      backupPath: folder,
      experimentalMode,
    });
    unleash.on('error', () => {});
    await new Promise((resolve) => unleash.once('ready', resolve));
    return { ask: () => unleash.isEnabled(FLAG, { userId: '1' }), stop: () => unleash.destroy() };
  };
}

const stored = new Map();
async function unleashBrowser({ url, frontend }) {
  const client = new UnleashClient({
    url: `${url}/api/frontend`,
    clientKey: frontend,
    appName: 'page',
    refreshInterval: 1,
    metricsInterval: 1,
    context: { userId: '1' },
    storageProvider: { get: async (name) => stored.get(name), save: async (name, data) => void stored.set(name, data) },
  });
  client.on('error', () => {});
  const initialized = new Promise((resolve) => client.once('initialized', resolve));
  client.start().catch(() => {});
  await initialized;
  return { ask: () => client.isEnabled(FLAG), stop: () => client.stop() };
}

let domains = 0;
// The OFREP providers set no time limit of their own.
const within = (ms) => (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(ms) });

function ofrepWeb(options) {
  return async ({ url, frontend }) => {
    const domain = `web-${(domains += 1)}`;
    const provider = new OFREPWebProvider({
      baseUrl: url,
      headers: [['Authorization', `Bearer ${frontend}`]],
      fetchImplementation: within(2_000),
      cacheKeyGenerator: (input) => JSON.stringify([input.url, input.auth, input.targetingKey]),
      ...options,
    });
    await WebOpenFeature.setContext(domain, { targetingKey: '1' });
    await WebOpenFeature.setProviderAndWait(domain, provider);
    const client = WebOpenFeature.getClient(domain);
    // The provider stops its polling and its stream with the SDK; one domain alone cannot be closed.
    const ask = () => {
      const details = client.getBooleanDetails(FLAG, false);
      return details.errorCode ? undefined : details.value;
    };
    return { ask, stop: () => provider.onClose() };
  };
}

async function ofrepServer({ url, client }) {
  const provider = new OFREPProvider({
    baseUrl: url,
    headers: [['Authorization', `Bearer ${client}`]],
    fetchImplementation: within(1_000),
  });
  await OpenFeature.setProviderAndWait('offline', provider);
  const flags = OpenFeature.getClient('offline');
  const ask = async () => {
    const details = await flags.getBooleanDetails(FLAG, false, { targetingKey: '1' });
    return details.errorCode ? undefined : details.value;
  };
  return { ask, stop: () => {} };
}

function python(kind) {
  return async ({ url, client, folder }) => {
    const lines = new Lines(PYTHON, [join(import.meta.dirname, 'follow.py'), kind, url, client, folder]);
    const ask = async () => {
      const { value, took_ms } = JSON.parse(await lines.ask(FLAG));
      ask.took_ms = took_ms;
      return value ?? undefined;
    };
    await ask();
    return { ask, stop: () => lines.stop() };
  };
}

function rust(mode) {
  return async ({ url, client, folder }) => {
    const lines = new Lines(RUST, [url, client, join(folder, 'flags.state'), mode]);
    const ask = async () => {
      const { value, took_ms } = JSON.parse(await lines.ask(`bool ${FLAG} userId=1`));
      ask.took_ms = took_ms;
      return value;
    };
    await ask();
    return { ask, stop: () => lines.stop() };
  };
}

// `keeps`: holds the last state in the process. `cold`: a new process has it too. Without either, each answer is asked
// from the server, and the code's default is what there is without one.
export const KINDS = [
  { name: 'Unleash Node SDK, polling', keeps: true, cold: true, start: unleashNode(undefined) },
  { name: 'Unleash Node SDK, streaming', keeps: true, cold: true, start: unleashNode({ type: 'streaming' }) },
  { name: 'Unleash browser SDK', keeps: true, cold: true, start: unleashBrowser },
  // `deaf`: does not notice that its connection died without a word.
  { name: 'OFREP web provider, stream', keeps: true, cold: true, deaf: true, start: ofrepWeb({ pollInterval: 0 }) },
  { name: 'OFREP web provider, polling', keeps: true, cold: true, start: ofrepWeb({ changeDetection: 'polling', pollInterval: 1_000 }) },
  { name: 'OFREP server provider (JS)', keeps: false, start: ofrepServer },
  { name: 'Unleash Python SDK, polling', needs: 'python', keeps: true, cold: true, start: python('unleash') },
  // A stream that cannot be opened is tried again for ever, and the cache is not read until then.
  { name: 'Unleash Python SDK, streaming', needs: 'python', keeps: true, cold: false, start: python('unleash-streaming') },
  { name: 'OFREP provider (Python)', needs: 'python', keeps: false, start: python('ofrep') },
  { name: 'Rust client, streaming', needs: 'rust', keeps: true, cold: true, start: rust('streaming') },
  { name: 'Rust client, polling', needs: 'rust', keeps: true, cold: true, start: rust('polling') },
];

/** Why a kind cannot run here, or nothing. */
export function missing(kind) {
  if (kind.needs === 'python' && !hasPython()) return 'the Python clients of requirements.txt are not installed';
  if (kind.needs === 'rust' && !existsSync(RUST)) return 'the example is not built (cargo build -p tenfold-client --example ask)';
  return undefined;
}
