// `tenfold demo` as a newcomer runs it: within a minute there is something to see, and Ctrl-C leaves nothing behind.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Demo } from '../lib/demo.mjs';
import { figure } from '../lib/figures.mjs';
import { until } from '../lib/wait.mjs';

const NEWCOMER_MS_MAX = 90_000;

/** Every process that has the folder in its command line or is below the demo. */
function processesOf(demo) {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      const parent = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1]);
      return [{ pid: Number(pid), parent, line, ours: line.includes(demo.folder) || environment.includes(`FLAGS_URL=${demo.url}`) }];
    } catch {
      return [];
    }
  });
  const inside = new Set([demo.process.pid, ...all.filter(({ ours }) => ours).map(({ pid }) => pid)]);
  for (let grew = true; grew; ) {
    grew = false;
    for (const { pid, parent } of all) {
      if (inside.has(parent) && !inside.has(pid)) grew = Boolean(inside.add(pid));
    }
  }
  return all.filter(({ pid }) => inside.has(pid));
}

const alive = ({ pid, line }) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') === line && line !== '';
  } catch {
    return false;
  }
};

test('a newcomer sees the whole loop, and nothing is left behind', { timeout: 4 * 60_000 }, async () => {
  const started = performance.now();
  const demo = await Demo.start({ args: [], ready: false });
  let before = [];
  try {
    const { ana } = demo;
    const { person, demo: signsIn } = await new (ana.constructor)(demo.url).get('/api/session');
    assert.ok(signsIn && person.login === 'ana', 'a visitor of this machine is signed in');

    await until('two deploys, the second live on all hosts', async () => {
      const deploys = await ana.items('/api/deploys?state=succeeded');
      return deploys.length >= 2;
    }, { within_ms: NEWCOMER_MS_MAX });
    const sees = {
      'a live fleet': async () => (await ana.items('/api/hosts')).filter(({ state, releases }) => state === 'connected' && releases.some((release) => release.state === 'running')).length === 6,
      'graphs with markers': async () => (await ana.items(`/api/markers?service=photos&from=${new Date(Date.now() - 600_000).toISOString()}&to=${new Date().toISOString()}`)).some(({ kind }) => kind === 'deploy'),
      'a flag': async () => (await ana.items('/api/flags')).some(({ key }) => key === 'new_uploader'),
      'who is on call': async () => (await ana.get('/api/now')).on_call[0]?.person,
      'the record': async () => (await ana.items('/api/events?limit=100')).length > 20,
    };
    for (const [what, look] of Object.entries(sees)) await until(what, look);
    figure('demo started to everything in sight', performance.now() - started);

    await until('an incident opens', async () => (await ana.items('/api/incidents')).length > 0, { within_ms: NEWCOMER_MS_MAX });
    figure('demo started to its first incident', performance.now() - started);
    await until('it is acknowledged, rolled back and resolved', async () => {
      const [incident] = await ana.items('/api/incidents');
      return incident.state === 'resolved' && incident.acknowledged_by === 'raj';
    }, { within_ms: NEWCOMER_MS_MAX });
    before = processesOf(demo);
    assert.ok(before.length > 15, `the demo is made of processes: ${before.length}`);
  } finally {
    await demo.stop();
  }
  const left = before.filter(alive);
  assert.deepEqual(left, [], 'every process has ended');
  assert.equal(demo.process.exitCode, 0, demo.output);
});

test('a demo that is killed leaves nothing behind either', { timeout: 3 * 60_000 }, async () => {
  for (const who of ['the outer process', 'the inner process']) {
    const demo = await Demo.start();
    const before = processesOf(demo);
    assert.ok(before.length > 15, `the demo is made of processes: ${before.length}`);
    process.kill(who === 'the outer process' ? demo.process.pid : demo.about.pid, 'SIGKILL');
    await until(`every process ends after ${who} was killed`, () => before.filter(alive).length === 0, { within_ms: 40_000 });
    await demo.stop();
  }
});
