// Which functions a running server calls, for the linker to lay side by side: `make release` calls it between two links.
// The program runs under valgrind's callgrind what clients of other projects ask of it, and a small storm of alerts.
//
//   node e2e/order.mjs PROGRAM ORDER     writes ORDER, unless what stands there is of this program already
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Calls, sizes } from './lib/callgrind.mjs';

/** A list of which so many names are there is of this program, or of one that is hardly different. */
const FITTING = 0.97;
/** A server that starts and stops calls more. */
const FUNCTIONS_MIN = 5_000;
const HERE = fileURLToPath(new URL('.', import.meta.url));
const WORK = [
  ['npm', '--prefix', join(HERE, 'clients'), 'test'],
  ['node', join(HERE, 'alertmanager', 'storm.bench.mjs'), '1000', '20', '1000'],
];

const [program, order] = process.argv.slice(2).map((path) => resolve(path));
if (order === undefined) throw new Error('usage: node e2e/order.mjs PROGRAM ORDER');

const bytes = sizes(program);
const megabytes = (names) => (names.reduce((sum, name) => sum + bytes.get(name), 0) / 1e6).toFixed(1);

function fits() {
  const names = existsSync(order) ? readFileSync(order, 'utf8').split('\n').filter(Boolean) : [];
  return names.length > 0 && names.filter((name) => bytes.has(name)).length >= FITTING * names.length;
}

function found() {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-order-'));
  try {
    const [runs, wrapped] = [join(folder, 'runs'), join(folder, 'tenfold')];
    mkdirSync(runs);
    // A run that is ended by SIGKILL leaves nothing behind.
    writeFileSync(wrapped, `#!/bin/sh\nexec valgrind -q --tool=callgrind --demangle=no '--callgrind-out-file=${runs}/%p' '${program}' "$@"\n`);
    chmodSync(wrapped, 0o755);
    for (const [command, ...args] of WORK) {
      const { status } = spawnSync(command, args, { env: { ...process.env, TENFOLD_BIN: wrapped }, stdio: ['ignore', 'inherit', 'inherit'] });
      // What runs out of its time at a tenth of the speed has called its functions all the same.
      if (status !== 0) console.error(`order: ${[command, ...args].join(' ')} failed; what it did until then counts`);
    }
    return new Calls(runs).order(bytes);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (fits()) console.log('order: the list is of this program');
else {
  const names = found();
  if (names.length < FUNCTIONS_MIN) throw new Error(`${names.length} functions were seen, which is no server at work; is valgrind installed?`);
  writeFileSync(order, `${names.join('\n')}\n`);
  console.log(`order: ${names.length} functions, ${megabytes(names)} MB of ${megabytes([...bytes.keys()])}`);
}
