// Unmodified clients keep their last state while the server is killed, stopped or cut off, start from it, and see what
// was changed meanwhile once it is back.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { FaultProxy } from '../lib/fault-proxy.mjs';
import { until } from '../lib/wait.mjs';
import { FLAG, KINDS, missing } from './kinds.mjs';
import { Server } from './server.mjs';

const OUTAGE_MS = 5_000;
const ASK_EVERY_MS = 100;
// The longest of the SDKs' own waits (a stream of the Node SDK is given up after 60 s of silence, then a backoff).
const RECOVERY_MS_MAX = 120_000;
const COLD_MS_MAX = 30_000;
// An answer that took longer than this waited for the network; the machine may be busy.
const LOCAL_MS_MAX = 1_500;

let server;
let proxy;
let tokens;
const clients = [];
let value = true;

function start(kind) {
  const folder = join(server.folder, kind.name.replaceAll(/\W+/g, '-'));
  mkdirSync(folder, { recursive: true });
  return kind.start({ url: proxy.url, ...tokens, folder });
}

before(async () => {
  server = await Server.start();
  proxy = await FaultProxy.start(server.url);
  tokens = { client: await server.token('service', 'client'), frontend: await server.token('page', 'frontend') };
  await server.api.put(`/api/flags/${FLAG}`, { environments: { production: { enabled: true } } });
  for (const kind of KINDS) {
    const why = missing(kind);
    if (why) console.log(`skipped: ${kind.name}: ${why}`);
    else clients.push({ kind, running: await start(kind) });
  }
});

after(async () => {
  await Promise.all(clients.map(({ running }) => running.stop()));
  await proxy?.stop();
  await server?.stop();
});

async function follow(client, stop) {
  const seen = [];
  while (!stop.aborted) {
    const at = performance.now();
    const answer = await client.running.ask();
    seen.push({ at, answer, took_ms: client.running.ask.took_ms ?? performance.now() - at });
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
  return seen;
}

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** Breaks, waits, heals; all clients are followed at once. `changes` says when the flag is switched. */
async function outage({ breakIt, healIt, deafMayMiss = false }) {
  for (const { kind, running } of clients) {
    await until(`${kind.name} has the state before`, async () => (await running.ask()) === value, { within_ms: RECOVERY_MS_MAX });
  }
  const old = value;
  value = !value;
  await breakIt();
  const broken = performance.now();
  const stop = new AbortController();
  const followed = clients.map((client) => follow(client, stop.signal));
  const cold = await Promise.all(clients.map(({ kind }) => (kind.cold ? coldStart(kind) : undefined)));
  const left = OUTAGE_MS - (performance.now() - broken);
  if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
  stop.abort();
  const seen = await Promise.all(followed);
  const healed = performance.now();
  await healIt(() => server.api.post(`/api/flags/${FLAG}/switch`, { environment: 'production', enabled: value }));
  const recovered = await Promise.all(
    clients.map(async ({ kind, running }) => {
      if (deafMayMiss && kind.deaf) return undefined;
      const wait = { within_ms: RECOVERY_MS_MAX, poll_ms: 20 };
      await until(`${kind.name} sees the change`, async () => (await running.ask()) === value, wait);
      return performance.now() - healed;
    }),
  );
  await Promise.all(cold.map((one) => one?.running.stop()));
  const rows = clients.map(({ kind }, i) => {
    // The first question may have been under way when it broke.
    const during = seen[i].filter(({ at }) => at > broken + 50);
    const slowest_ms = Math.max(0, ...during.map(({ took_ms }) => took_ms));
    const kept = during.filter(({ answer }) => answer === old).length;
    return { kind, during, slowest_ms, kept };
  });
  console.table(
    rows.map(({ kind, during, slowest_ms, kept }, i) => ({
      client: kind.name,
      'in the outage': kind.keeps ? `kept, ${kept} of ${during.length}` : "the code's default",
      'slowest answer': `${slowest_ms.toFixed(slowest_ms < 10 ? 1 : 0)} ms`,
      'cold start': cold[i] === undefined ? 'without the state' : `kept, after ${seconds(cold[i].took_ms)}`,
      'change seen after': recovered[i] === undefined ? 'not waited for' : seconds(recovered[i]),
    })),
  );
  for (const { kind, during, slowest_ms, kept } of rows) {
    assert.ok(during.length > 0, `${kind.name} was asked`);
    if (kind.keeps) {
      assert.equal(kept, during.length, `${kind.name} kept its state: ${JSON.stringify(during.find((d) => d.answer !== old))}`);
      assert.ok(slowest_ms < LOCAL_MS_MAX, `${kind.name} answered without waiting, not after ${slowest_ms} ms`);
    } else {
      assert.ok(during.every(({ answer }) => answer === undefined), `${kind.name} says that it has no answer`);
    }
  }
  for (const [i, { kind }] of clients.entries()) {
    if (deafMayMiss && kind.deaf) await replace(i);
  }
}

/** A new process or page in the outage: how long until it answers as before. */
async function coldStart(kind) {
  const started = performance.now();
  const running = await start(kind);
  const wait = { within_ms: COLD_MS_MAX, poll_ms: 20 };
  await until(`${kind.name} starts with the last state`, async () => (await running.ask()) === !value, wait);
  // Stopped once the server is back: a Node SDK that is destroyed while a request hangs ends its process when it fails.
  return { took_ms: performance.now() - started, running };
}

async function replace(i) {
  await clients[i].running.stop();
  clients[i].running = await start(clients[i].kind);
}

test('killed', async () => {
  await outage({
    breakIt: () => server.kill(),
    healIt: async (change) => {
      await server.restart();
      await change();
    },
  });
});

test('stopped (SIGSTOP)', async () => {
  let changed;
  await outage({
    breakIt: () => server.pause(),
    healIt: (change) => {
      changed = change(); // waits in the kernel for the server to go on
      server.resume();
      return changed;
    },
  });
});

test('cut off, and what was under way arrives late', async () => {
  await outage({
    breakIt: () => proxy.cut(),
    healIt: async (change) => {
      await change();
      proxy.heal();
    },
  });
});

test('cut off, and connections from before are lost for good', async () => {
  await outage({
    breakIt: () => proxy.cut(),
    healIt: async (change) => {
      await change();
      proxy.healForNewOnly();
    },
    deafMayMiss: true,
  });
});
