// Plays the story and prints its measured seconds as a table.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'tenfold-bench-'));
const figures = join(folder, 'figures.json');
const played = spawnSync(process.execPath, ['--test', '--test-reporter=spec', 'tests/story.test.mjs'], {
  stdio: 'inherit',
  env: { ...process.env, TENFOLD_FIGURES: figures },
});
if (played.status === 0) {
  console.log('\n| measured | seconds |\n| --- | ---: |');
  for (const { name, ms } of JSON.parse(readFileSync(figures, 'utf8'))) console.log(`| ${name} | ${(ms / 1000).toFixed(2)} |`);
}
rmSync(folder, { recursive: true });
process.exit(played.status ?? 1);
