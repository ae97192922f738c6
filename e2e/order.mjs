// Which functions a running server calls, for the linker to lay side by side: `make release` calls it between two links.
// The program runs under valgrind's callgrind what dashboards ask of it, what clients of other projects do, and a small storm of
// alerts.
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
/** The first is what somebody waits for who looks at graphs: a server has its code at hand (crates/tenfold/src/hot.rs). */
const WORK = [
  ['node', join(HERE, 'questions.mjs')],
  ['npm', '--prefix', join(HERE, 'clients'), 'test'],
  ['node', join(HERE, 'alertmanager', 'storm.bench.mjs'), '1000', '20', '1000'],
];

const [program, order] = process.argv.slice(2).map((path) => resolve(path));
if (order === undefined) throw new Error('usage: node e2e/order.mjs PROGRAM ORDER');

const bytes = sizes(program);
const megabytes = (names) => (names.reduce((sum, name) => sum + bytes.get(name), 0) / 1e6).toFixed(1);

/** One of the two functions between which a server finds the code of the first work. */
function marker(name) {
  const marked = [...bytes.keys()].filter((function_) => function_.includes(`7tenfold3hot${name.length}${name}`));
  if (marked.length !== 1) throw new Error(`${marked.length} functions hot::${name} are in ${program}`);
  return marked[0];
}

function fits() {
  const names = existsSync(order) ? readFileSync(order, 'utf8').split('\n').filter(Boolean) : [];
  const marked = ['first', 'last'].every((name) => names.includes(marker(name)));
  return marked && names.filter((name) => bytes.has(name)).length >= FITTING * names.length;
}

function found() {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-order-'));
  try {
    const runs = WORK.map(([command, ...args], number) => {
      const [seen, wrapped] = [join(folder, `runs-${number}`), join(folder, `tenfold-${number}`)];
      mkdirSync(seen);
      // A run that is ended by SIGKILL leaves nothing behind.
      writeFileSync(wrapped, `#!/bin/sh\nexec valgrind -q --tool=callgrind --demangle=no '--callgrind-out-file=${seen}/%p' '${program}' "$@"\n`);
      chmodSync(wrapped, 0o755);
      const { status } = spawnSync(command, args, { env: { ...process.env, TENFOLD_BIN: wrapped }, stdio: ['ignore', 'inherit', 'inherit'] });
      // What runs out of its time at a tenth of the speed has called its functions all the same.
      if (status !== 0) console.error(`order: ${[command, ...args].join(' ')} failed; what it did until then counts`);
      return seen;
    });
    const [foremost, others] = new Calls(runs).order(bytes);
    console.log(`order: ${foremost.length} functions, ${megabytes(foremost)} MB, of questions`);
    return [marker('first'), ...foremost, marker('last'), ...others];
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
