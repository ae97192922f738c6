// A monitoring tool that sends to PagerDuty by its own client library sends here instead: one key is one alert, whatever is said
// of it, until it is resolved.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { Server } from './server.mjs';

const PYTHON = join(import.meta.dirname, '.python/bin/python');
const there = existsSync(PYTHON) && spawnSync(PYTHON, ['-c', 'import pagerduty']).status === 0;
const skip = there ? false : 'the Python package pagerduty of requirements.txt is not installed';

let server, client, answers;
before(async () => {
  if (!there) return;
  server = await Server.start();
  const { secret } = await server.api.post('/api/tokens', { name: 'monitor', kind: 'robot', role: 'responder' });
  client = spawn(PYTHON, [join(import.meta.dirname, 'pagerduty_events.py'), server.url, secret, server.folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  answers = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
});
after(async () => {
  client?.stdin.end();
  await server?.stop();
});

async function send(what, fields, more = {}) {
  client.stdin.write(`${JSON.stringify({ do: what, with: fields, ...more })}\n`);
  const { value, done } = await answers.next();
  assert.ok(!done, 'the client ended');
  return JSON.parse(value);
}

/** The alerts of a key that fire. */
async function firing(key) {
  const { items } = await server.api.get('/api/alerts?state=firing');
  return items.filter((alert) => alert.labels.dedup_key === key);
}

const disk = { summary: 'the disk is full', source: 'db1', dedup_key: 'disk-db1', custom_details: { service: 'photos' } };

test('a key is one alert, and gets worse', { skip }, async () => {
  assert.deepEqual(await send('trigger', { ...disk, severity: 'warning' }), { key: 'disk-db1' });
  assert.deepEqual(await send('trigger', { ...disk, severity: 'warning', summary: 'the disk is fuller' }), { key: 'disk-db1' });
  const [warning, ...others] = await firing('disk-db1');
  assert.deepEqual([others.length, warning.summary, warning.severity, warning.incident ?? null], [0, 'the disk is fuller', 'warning', null]);
  assert.deepEqual([warning.service, warning.labels.source, warning.labels.integration], ['photos', 'db1', 'monitor']);
  await send('trigger', { ...disk, severity: 'critical' });
  const critical = await firing('disk-db1');
  assert.deepEqual(critical.map((alert) => alert.severity), ['critical'], 'the warning is over');
  assert.ok(critical[0].incident, 'and people are told of it');
});

test('an acknowledgement is the incident\'s, and the end is the alert\'s', { skip }, async () => {
  assert.deepEqual(await send('acknowledge', { dedup_key: 'disk-db1' }), { key: 'disk-db1' });
  const [acknowledged] = await firing('disk-db1');
  assert.match(acknowledged.acknowledged_by, /monitor/);
  assert.deepEqual(await send('resolve', { dedup_key: 'disk-db1' }), { key: 'disk-db1' });
  assert.deepEqual(await firing('disk-db1'), []);
  const { items } = await server.api.get('/api/events?kind=alert.resolved');
  assert.equal(items.filter((event) => event.data.labels.dedup_key === 'disk-db1').length, 2, 'the warning and the critical one');
});

test('without a key it gets one, with links and images it is taken', { skip }, async () => {
  const { key } = await send('trigger', {
    summary: 'hm', source: 'db2', severity: 'info', links: [{ href: 'https://example.org/runbook', text: 'Runbook' }],
    images: [{ src: 'https://example.org/graph.png' }],
  });
  assert.match(key, /.{8,}/);
  assert.equal((await firing(key)).length, 1);
  await send('resolve', { dedup_key: key });
  await until('it is over', async () => (await firing(key)).length === 0);
});

test('an end of what was never there is no mistake, a wrong secret is', { skip }, async () => {
  assert.deepEqual(await send('resolve', { dedup_key: 'never-seen' }), { key: 'never-seen' });
  assert.deepEqual(await send('trigger', disk, { secret: 'wrong' }), { refused: 400 });
  assert.deepEqual(await firing('disk-db1'), []);
});
