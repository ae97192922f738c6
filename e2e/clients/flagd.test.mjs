// flagd's testbed against our flagd service, through the OpenFeature provider for Python as it is. The testbed's flags
// come in by the importer, so what it refuses is not applicable, with the importer's own reason.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { ROOT } from '../lib/binary.mjs';
import { Server } from './server.mjs';

const TESTBED = process.env.FLAGD_TESTBED ?? join(ROOT, '../shared/conformance/flagd-testbed');
const PYTHON = join(import.meta.dirname, '.python/bin/python');

// Sets that repeat keys of others to test flagd's selectors between sources; a server of flags has one source.
const SELECTED_SETS = ['selector-flags.json', 'selector-flag-combined-metadata.json'];

const BUCKETS = "flagd's buckets: its hash differs from Unleash's (and in each of its own three versions), so shares are kept, not who is in them";

// Why a case does not apply, by what it asks. The first that fits.
const CLASSES = [
  [({ tags }) => tags.some((tag) => tag.startsWith('@fractional')), BUCKETS],
  [({ tags }) => tags.includes('@deprecated'), 'deprecated by the testbed, and contradicted by its newer cases'],
];

// Where we answer otherwise than flagd, and mean it.
const UNREADABLE = 'what an operator cannot read does not hold, as in Unleash, so the rule goes on to its `else`; flagd gives the whole rule up';
const OTHERWISE = [
  [/v-prefix/, 'a version with a leading `v` is none, as in Unleash'],
  [/^Custom operator errors|return(s)? null/, UNREADABLE],
  [/^Targeting by targeting key|using default when targeting does not match|targeting using default/, 'of a switch only who gets it is kept, so its default is told as TARGETING_MATCH; flagd tells DEFAULT'],
];

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Lines of the importer by flag: what it refused, and what it took otherwise. Files are one set, as flagd merges them. */
async function take(server, files) {
  const document = { flags: {}, $evaluators: {} };
  for (const file of files) {
    const { flags, $evaluators } = JSON.parse(readFileSync(file, 'utf8'));
    Object.assign(document.flags, flags);
    Object.assign(document.$evaluators, $evaluators);
  }
  const wanted = { document, format: 'flagd', environment: 'production', allow_rebucketing: true };
  const { notes } = await server.api.post('/api/flags/import', wanted);
  const by = {};
  for (const { about, outcome, text } of notes) {
    const key = /^flag (.*)$/.exec(about)?.[1] ?? about;
    by[key] ??= [];
    by[key].push({ outcome, text });
  }
  return by;
}

async function play(flags, features) {
  const port = await freePort();
  const server = await Server.start(`[flags]\nflagd_listen = "127.0.0.1:${port}"\nflagd_environment = "production"\n`);
  try {
    const notes = await take(server, flags);
    const args = [join(import.meta.dirname, 'flagd.py'), String(port), ...features];
    const { stdout } = await promisify(execFile)(PYTHON, args, { timeout: 240_000, maxBuffer: 1 << 24 });
    return { notes, cases: stdout.trim().split('\n').map((line) => JSON.parse(line)) };
  } finally {
    await server.stop();
  }
}

/** Counts, prints, and fails on what has no reason, or when fewer pass than did. */
function judge(what, passed_min, { notes, cases }) {
  const passed = cases.filter((c) => c.outcome === 'passed');
  const reasons = { 'not applicable': new Map(), otherwise: new Map() };
  const failed = [];
  for (const one of cases.filter((c) => c.outcome !== 'passed')) {
    const said = notes[one.key]?.[0];
    const why =
      (one.outcome === 'not applicable' && `the provider's own: ${one.why}`) ||
      (said?.outcome === 'refused' && `not imported: ${said.text}`) ||
      CLASSES.find(([fits]) => fits(one))?.[1] ||
      (said && `imported otherwise: ${said.text}`);
    const otherwise = !why && OTHERWISE.find(([scenario]) => scenario.test(one.scenario))?.[1];
    if (why) reasons['not applicable'].set(why, (reasons['not applicable'].get(why) ?? 0) + 1);
    else if (otherwise) reasons.otherwise.set(otherwise, (reasons.otherwise.get(otherwise) ?? 0) + 1);
    else failed.push(one);
  }
  const count = (name) => [...reasons[name].values()].reduce((sum, n) => sum + n, 0);
  console.log(
    `${what}: ${passed.length} passed, ${failed.length} failed, ${count('otherwise')} answered otherwise on purpose, ${count('not applicable')} not applicable, of ${cases.length}`,
  );
  for (const [name, found] of Object.entries(reasons)) {
    for (const [why, n] of [...found].sort(([, a], [, b]) => b - a)) console.log(`  ${name}, ${n}: ${why}`);
  }
  for (const { file, scenario, example, why } of failed) console.log(`  failed: ${file}, ${scenario}, ${JSON.stringify(example)}: ${why}`);
  assert.equal(failed.length, 0, 'every case passes or has its reason above');
  assert.ok(passed.length >= passed_min, `${passed.length} passed, and ${passed_min} did before`);
}

function missing() {
  if (!existsSync(TESTBED)) return "flagd's testbed is not here (FLAGD_TESTBED)";
  const check = spawnSync(PYTHON, ['-c', 'import openfeature.contrib.provider.flagd']);
  return check.status === 0 ? undefined : 'the Python clients of requirements.txt are not installed';
}

const jsonFiles = (folder) => readdirSync(folder).filter((name) => name.endsWith('.json')).sort();

test("the testbed's scenarios for RPC", async (t) => {
  const why = missing();
  if (why) return t.skip(why);
  const folder = join(TESTBED, 'flags');
  const flags = jsonFiles(folder).filter((name) => !SELECTED_SETS.includes(name)).map((name) => join(folder, name));
  const features = ['evaluation', 'targeting', 'disabled', 'rpc-caching'].map((name) => join(TESTBED, 'gherkin', `${name}.feature`));
  const played = await play(flags, features);
  played.cases = played.cases.filter(({ tags }) => tags.includes('@rpc'));
  return judge('flagd testbed, RPC', 55, played);
});

test("the testbed's scenarios for evaluators", async (t) => {
  const why = missing();
  if (why) return t.skip(why);
  const folder = join(TESTBED, 'evaluator');
  const features = readdirSync(join(folder, 'gherkin')).sort().map((name) => join(folder, 'gherkin', name));
  return judge('flagd testbed, evaluators', 55, await play(jsonFiles(join(folder, 'flags')).map((name) => join(folder, 'flags', name)), features));
});
