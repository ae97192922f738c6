// OFREP's own OpenAPI against a running server: schemathesis makes requests from it, right and wrong ones, and compares
// every answer with what the document promises.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Server } from './server.mjs';

const CONTRACT = join(import.meta.dirname, '../../../shared/conformance/ofrep/openapi.yaml');
const SCHEMATHESIS = join(import.meta.dirname, '.python/bin/schemathesis');
const missing = [CONTRACT, SCHEMATHESIS].find((path) => !existsSync(path));

// Left out: the shape of answers, since the document wants exactly one of its kinds of values and its code default fits
// each of them too, so that no answer with a value passes; and wrong credentials, which the tool adds beside the right one;
// and requests the document does not allow but that can be understood, which are answered.
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'positive_data_acceptance',
];
const EXAMPLES = 60;
const SEED = 4711;

let server;
let token;

before(async () => {
  if (missing) return;
  server = await Server.start();
  token = await server.token('contract', 'frontend');
  const states = [
    ['discount-banner', { environments: { production: { enabled: true } } }],
    ['half', { environments: { production: { enabled: true, rollout_percent: 50 } } }],
    [
      'limit',
      {
        value_type: 'float',
        environments: { production: { enabled: true, off_value: 0.5, variants: [{ name: 'wide', weight: 1, value: 2 }] } },
      },
    ],
  ];
  for (const [key, body] of states) await server.api.put(`/api/flags/${key}`, body);
});

after(async () => server?.stop());

test('every answer is one that the OFREP document promises', { skip: missing && `skipped: ${missing} is missing` }, () => {
  const args = ['run', CONTRACT, '--url', server.url, '-H', `Authorization: Bearer ${token}`, '--checks', CHECKS.join(',')];
  const more = ['--phases', 'examples,coverage,fuzzing', '-n', `${EXAMPLES}`, '--seed', `${SEED}`, '--generation-deterministic'];
  const { status, stdout, stderr } = spawnSync(SCHEMATHESIS, [...args, ...more, '--no-color'], { cwd: server.folder, encoding: 'utf8', timeout: 300_000 });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /[1-9][0-9]* passed/, stdout);
});
