// Puts the Python clients of requirements.txt into a virtual environment here, once. Without them their tests are
// skipped, or fail where TENFOLD_REQUIRE_PEERS=1.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '.python');
const mark = join(folder, 'installed.txt');
const wanted = readFileSync(join(import.meta.dirname, 'requirements.txt'), 'utf8');

function run(command, ...args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error((stderr || error?.message || command).trim().split('\n').at(-1));
}

if (!existsSync(mark) || readFileSync(mark, 'utf8') !== wanted) {
  try {
    run('python3', '-m', 'venv', folder);
    run(join(folder, 'bin/pip'), 'install', '--quiet', '-r', join(import.meta.dirname, 'requirements.txt'));
    writeFileSync(mark, wanted);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    if (process.env.TENFOLD_REQUIRE_PEERS === '1') throw error;
    console.log(`skipped: the Python flag clients cannot be installed (${error.message})`);
  }
}
