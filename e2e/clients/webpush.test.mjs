// Pages in the browser, opened by somebody else's code: Python's http-ece reads what the push service is given, and
// cryptography judges who signed it. The push service is a server of the test that keeps all that it gets.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { Server } from './server.mjs';

const PYTHON = join(import.meta.dirname, '.python/bin/python');
const SCRIPT = join(import.meta.dirname, 'webpush_browser.py');
const hasReader = existsSync(PYTHON) && spawnSync(PYTHON, ['-c', 'import http_ece, cryptography']).status === 0;
const skip = !hasReader && process.env.TENFOLD_REQUIRE_PEERS !== '1' && 'the Python clients are not installed (node install-python.mjs)';

let server;
let pushes;
let service;
let origin;

before(async () => {
  if (skip) return;
  pushes = [];
  service = createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part)).on('end', () => {
      pushes.push({ path: request.url, headers: request.headers, body: Buffer.concat(parts) });
      response.writeHead(201).end();
    });
  });
  await new Promise((resolve) => service.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${service.address().port}`;
  server = await Server.start('[channels]\npush_loopback = true\npush_contact = "mailto:ops@example.org"\n');
});
after(async () => {
  await server?.stop();
  service?.close();
});

/** A browser that has subscribed with the server's key. */
async function browser(path) {
  const keys = JSON.parse(execFileSync(PYTHON, [SCRIPT, 'keys'], { encoding: 'utf8' }));
  const { key } = await server.api.get('/api/browsers');
  const body = { endpoint: origin + path, keys: { p256dh: keys.p256dh, auth: keys.auth }, label: 'Python' };
  const { id } = await server.api.post('/api/browsers', body);
  return { ...keys, key, id };
}

function open(of, push, change = {}) {
  const { private: pem, auth, key } = of;
  const asked = { private: pem, auth, key, audience: origin, body: push.body.toString('base64url'), authorization: push.headers.authorization, ...change };
  const { status, stdout, stderr } = spawnSync(PYTHON, [SCRIPT, 'open'], { input: JSON.stringify(asked), encoding: 'utf8' });
  return status === 0 ? JSON.parse(stdout) : { refused: stderr };
}

test('what is pushed is opened by its browser and by no other, and is signed by the server', { skip }, async () => {
  const ana = await browser('/send/first');
  await server.api.post(`/api/browsers/${ana.id}/test`);
  const push = await until('the push is there', () => pushes.find(({ path }) => path === '/send/first'));
  assert.equal(push.headers['content-encoding'], 'aes128gcm');
  const { said, claims, refused } = open(ana, push);
  assert.equal(refused, undefined);
  assert.equal(said.login, 'mei');
  assert.ok(said.title.length > 0, JSON.stringify(said));
  assert.equal(claims.sub, 'mailto:ops@example.org');

  const other = await browser('/send/second');
  assert.match(open(other, push, { auth: ana.auth }).refused, /cannot be opened/);
  assert.match(open(ana, push, { auth: other.auth }).refused, /cannot be opened/);
  const turned = Buffer.from(push.body);
  turned[turned.length - 1] ^= 1;
  assert.match(open(ana, push, { body: turned.toString('base64url') }).refused, /cannot be opened/);
  assert.match(open(ana, push, { audience: 'https://elsewhere.example' }).refused, /not https:\/\/elsewhere.example/);
});

test('a page comes to every browser of a person, sealed for each anew', { skip }, async () => {
  const browsers = [await browser('/page/one'), await browser('/page/two')];
  await server.api.post('/api/people/mei/test-page');
  const found = await Promise.all(['/page/one', '/page/two'].map((path) => until(`the push to ${path}`, () => pushes.find((push) => push.path === path))));
  const said = found.map((push, at) => open(browsers[at], push).said);
  assert.ok(said[0]?.title, JSON.stringify(said));
  assert.deepEqual(said[0], said[1]);
  const salt = ({ body }) => body.subarray(0, 16).toString('hex');
  const sender = ({ body }) => body.subarray(21, 21 + body[20]).toString('hex');
  assert.notEqual(salt(found[0]), salt(found[1]));
  assert.notEqual(sender(found[0]), sender(found[1]), 'a key pair of its own for each message');
});
