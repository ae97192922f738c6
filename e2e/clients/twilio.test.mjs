// What Twilio tells of its messages and calls is signed; here the one who signs is Twilio's own Python library.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { Server } from './server.mjs';

const PYTHON = join(import.meta.dirname, '.python/bin/python');
const there = existsSync(PYTHON) && spawnSync(PYTHON, ['-c', 'import twilio']).status === 0;
const skip = there ? false : 'the Python package twilio of requirements.txt is not installed';
const TOKEN = 'the token of the account';

let server, provider;
const orders = [];
before(async () => {
  if (!there) return;
  provider = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    orders.push(Object.fromEntries(new URLSearchParams(body)));
    response.writeHead(201, { 'content-type': 'application/json' }).end('{"sid": "SM1"}');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => provider.once('listening', resolve));
  const token = join(mkdtempSync(join(tmpdir(), 'tenfold-twilio-')), 'token');
  writeFileSync(token, TOKEN);
  const { port } = provider.address();
  server = await Server.start(`[channels]\ntwilio_url = "http://127.0.0.1:${port}"\ntwilio_account = "AC1"\ntwilio_token_file = "${token}"\ntwilio_from = "+15550100"\n`);
});
after(async () => {
  await server?.stop();
  provider?.close();
});

/** The signature that the library computes. */
function signature(url, fields) {
  const program = 'import json, sys; from twilio.request_validator import RequestValidator as V; t, u, f = json.load(sys.stdin); print(V(t).compute_signature(u, f))';
  const { stdout, stderr, status } = spawnSync(PYTHON, ['-c', program], { input: JSON.stringify([TOKEN, url, fields]), encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

/** Tells an address that the server named, which may be behind another name than the one it listens on. */
async function tell(url, fields, signed = signature(url, fields)) {
  const { pathname, search } = new URL(url);
  const answer = await fetch(server.url + pathname + search, { method: 'POST', headers: { 'x-twilio-signature': signed }, body: new URLSearchParams(fields) });
  return [answer.status, await answer.text()];
}

test('a text message that is lost is followed by a call, and a key acknowledges', { skip }, async () => {
  await server.api.put('/api/people/mei', { contact: { channels: { sms: '+4930123456', voice: '+4930123456' } } });
  await server.api.put('/api/policies/default', { steps: [{ delay_ms: 3_600_000, targets: [{ kind: 'person', name: 'mei' }] }] });
  const { number } = await server.api.post('/api/incidents', { title: 'photos is down' });
  const sms = await until('a text message is ordered', () => orders.find((order) => order.Body));
  const lost = { MessageStatus: 'undelivered', ErrorCode: '30003', MessageSid: 'SM1', To: '+4930123456', From: '+15550100', Empty: '' };
  assert.equal((await tell(sms.StatusCallback, lost, signature(sms.StatusCallback, { ...lost, MessageStatus: 'delivered' })))[0], 401);
  await until('the order is stored', async () => (await server.api.get(`/api/incidents/${number}`)).pages[0].state === 'delivered');
  assert.equal((await tell(sms.StatusCallback, lost))[0], 204);
  const call = await until('a call is ordered at once', () => orders.find((order) => order.Twiml));
  const [, key] = /action="([^"]+)"/.exec(call.Twiml);
  const [status, said] = await tell(key, { Digits: '4', CallSid: 'CA1', msg: 'Gather End' });
  assert.deepEqual([status, /You have incident \d+\./.test(said)], [200, true], said);
  assert.equal((await server.api.get(`/api/incidents/${number}`)).state, 'acknowledged');
});
