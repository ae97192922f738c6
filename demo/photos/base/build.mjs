// Checks, tests and packs the service: what ships is in dist/.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// Slow enough for a person to see it going by.
const STEP_MS = 250;
const step = async (text) => {
  console.log(text);
  await new Promise((resolve) => setTimeout(resolve, STEP_MS));
};

const sha = process.env.TENFOLD_SHA ?? execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
await step(`building photos at ${sha.slice(0, 7)}`);

const sources = ['server.mjs', ...readdirSync('lib').map((name) => join('lib', name))];
for (const source of sources) execFileSync(process.execPath, ['--check', source]);
await step(`checked ${sources.length} files`);

await step('testing');
const tests = spawnSync(process.execPath, ['--test'], { encoding: 'utf8' });
const counts = /^(?:#|ℹ) pass (\d+)/m.exec(tests.stdout);
if (tests.status !== 0) {
  console.error(tests.stdout);
  process.exit(1);
}
await step(`${counts?.[1] ?? 'all'} tests passed`);

rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');
for (const name of ['server.mjs', 'settings.json', 'lib']) {
  cpSync(name, join('dist', name), { recursive: true });
  await step(`packed ${name}`);
}
writeFileSync(join('dist', 'version.json'), `${JSON.stringify({ sha, built_at: new Date().toISOString() })}\n`);
const bytes = readdirSync('dist', { recursive: true }).reduce((sum, name) => sum + statSync(join('dist', name)).size, 0);
await step(`dist/ holds ${bytes} bytes`);
