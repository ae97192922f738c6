// The OpenAPI document of Alertmanager's API v2 against a running server: schemathesis makes requests from it, right and
// wrong ones, and compares every answer with what the document promises.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Server } from './server.mjs';

const NAMED = process.env.ALERTMANAGER_CONTRACT;
const CONTRACT = NAMED ?? join(import.meta.dirname, '../../../shared/conformance/alertmanager/openapi.yaml');
const SCHEMATHESIS = join(import.meta.dirname, '.python/bin/schemathesis');
const missing = [CONTRACT, SCHEMATHESIS].find((path) => !existsSync(path));
// What is named has to be there: a slip must not look like a test that passed.
if (NAMED) assert.ok(existsSync(NAMED), `ALERTMANAGER_CONTRACT names ${NAMED}, which is missing`);
const skip = missing && `skipped: ${missing} is missing`;

// Where the document says more than it means: an answer without a body has no type of content. Alertmanager's has none either.
const MENDED = [
  [/^produces:\n {2}- "application\/json"\n/m, ''],
  [/^( +)operationId: (?!postAlerts|deleteSilence)\w+\n/gm, '$&$1produces: ["application/json"]\n'],
];

const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
];
const EXAMPLES = 40;
const SEED = 4711;

let server;
let token;
let known;

before(async () => {
  if (missing) return;
  server = await Server.start();
  token = (await server.api.post('/api/tokens', { name: 'contract', kind: 'robot', role: 'deployer' })).secret;
  const at = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();
  await server.api.post('/api/v2/alerts', [
    { labels: { alertname: 'Full', service: 'disk' }, annotations: { summary: 'the disk is full' }, generatorURL: 'http://prometheus.example/graph' },
    { labels: { alertname: 'Slow', service: 'web' }, startsAt: at(-5), endsAt: at(30) },
  ]);
  const silence = { matchers: [{ name: 'service', value: 'disk', isRegex: false }], startsAt: at(0), endsAt: at(60), createdBy: 'mei', comment: 'moving disks' };
  known = (await server.api.post('/api/v2/silences', silence)).silenceID;
});

after(async () => server?.stop());

function run(mends, ...more) {
  const path = join(server.folder, 'openapi.yaml');
  const document = mends.reduce((text, [wrong, right]) => {
    const mended = text.replace(wrong, right);
    assert.notEqual(mended, text, `the document no longer has ${wrong}`);
    return mended;
  }, readFileSync(CONTRACT, 'utf8'));
  writeFileSync(path, document);
  const args = ['run', path, '--url', `${server.url}/api/v2`, '-H', `Authorization: Bearer ${token}`, '--checks', CHECKS.join(',')];
  const how = ['--phases', 'examples,coverage,fuzzing', '-n', `${EXAMPLES}`, '--seed', `${SEED}`, '--generation-deterministic', '--no-color'];
  const { status, stdout, stderr } = spawnSync(SCHEMATHESIS, [...args, ...how, ...more], { cwd: server.folder, encoding: 'utf8', timeout: 300_000 });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /[1-9][0-9]* passed/, stdout);
}

test("every answer is one that Alertmanager's document promises", { skip }, () => run(MENDED));

test('a silence that is there is answered and ended as the document says', { skip }, async () => {
  const only = [[/^( +)format: uuid\n/gm, `$1enum: ['${known}']\n`]];
  run([...MENDED, ...only], '--include-path-regex', '/silence/');
  const silence = await server.api.get(`/api/v2/silence/${known}`);
  assert.equal(silence.status.state, 'expired', 'a request to end it was among them');
});
