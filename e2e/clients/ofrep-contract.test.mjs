// OFREP's own OpenAPI against a running server: schemathesis makes requests from it, right and wrong ones, and compares
// every answer with what the document promises.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Server } from './server.mjs';

const CONTRACT = join(import.meta.dirname, '../../../shared/conformance/ofrep/openapi.yaml');
const SCHEMATHESIS = join(import.meta.dirname, '.python/bin/schemathesis');
const missing = [CONTRACT, SCHEMATHESIS].find((path) => !existsSync(path));

// Where the document says what the protocol does not mean. Everything else in it is checked as it stands.
const MENDED = [
  // An answer with a value fits its kind of value and the code default as well, and a failure fits a success: "exactly one"
  // can hold for none of them.
  [/oneOf:(\n +- \$ref: "#\/components\/schemas\/(?:booleanFlag|evaluationSuccess)")/g, 'anyOf:$1'],
  // Either of two credentials is enough, so a wrong one beside the right one is let in; the tool wants it refused. Ours is
  // the bearer token.
  ['  - ApiKeyAuth: []\n', ''],
];

// Only where wrong requests are made, since right ones without it are refused for some flags:
const MENDED_KEY = [
  // OpenFeature lets a context go without a targeting key, and a flag that is the same for everybody is answered. One that
  // is split by person is refused with TARGETING_KEY_MISSING.
  ['      required:\n        - targetingKey\n', ''],
];

const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'positive_data_acceptance',
  'response_schema_conformance',
  'ignored_auth',
];
const EXAMPLES = 60;
const SEED = 4711;

/** The document with its mends; each must still be called for. */
function contract(mends) {
  return mends.reduce((text, [wrong, right]) => {
    const mended = text.replace(wrong, right);
    assert.notEqual(mended, text, `the document no longer has ${wrong}`);
    return mended;
  }, readFileSync(CONTRACT, 'utf8'));
}

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

function run(mends, checks) {
  const path = join(server.folder, 'openapi.yaml');
  writeFileSync(path, contract(mends));
  const args = ['run', path, '--url', server.url, '-H', `Authorization: Bearer ${token}`, '--checks', checks.join(',')];
  const more = ['--phases', 'examples,coverage,fuzzing', '-n', `${EXAMPLES}`, '--seed', `${SEED}`, '--generation-deterministic'];
  const { status, stdout, stderr } = spawnSync(SCHEMATHESIS, [...args, ...more, '--no-color'], { cwd: server.folder, encoding: 'utf8', timeout: 300_000 });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /[1-9][0-9]* passed/, stdout);
}

const skip = missing && `skipped: ${missing} is missing`;

test('every answer is one that the OFREP document promises', { skip }, () => run(MENDED, CHECKS));

test('what the OFREP document does not allow is refused', { skip }, () => run([...MENDED, ...MENDED_KEY], ['negative_data_rejection']));
