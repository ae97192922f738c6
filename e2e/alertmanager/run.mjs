// Alertmanager's own acceptance suite, API v2 and amtool, against a running server. It comes with Debian's packages
// golang-go and golang-github-prometheus-alertmanager-dev and is compiled where it lies; nothing of it is copied here.
// Arguments choose cases: `node e2e/alertmanager/run.mjs TestRepeat`. What is missing is told and skipped; with `--require`, as
// `make alertmanager` calls it, that is a failure.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

import { TENFOLD } from '../lib/binary.mjs';
import { Pool } from './pool.mjs';

const GOPATH = '/usr/share/gocode';
const SUITE = 'github.com/prometheus/alertmanager/test';
const PACKAGES = ['with_api_v2', 'cli'];
/** Three nodes that gossip; several nodes here share a database instead. */
const LEFT_OUT = /^TestCluster/;
/** Its times are exact to a tenth of a second: on a busy machine a case that fails is tried again, by itself. */
const TRIES = 3;

function found(name) {
  return process.env.PATH.split(':').map((folder) => join(folder, name)).find(existsSync);
}

const amtool = found('amtool');
const required = process.argv.includes('--require');
const chosen = process.argv.slice(2).filter((name) => name !== '--require');
const missing = [
  [found('go'), 'golang-go'],
  [existsSync(join(GOPATH, 'src', SUITE)), 'golang-github-prometheus-alertmanager-dev'],
  [amtool, 'prometheus-alertmanager'],
  [found('curl'), 'curl'],
  [existsSync(TENFOLD), `${TENFOLD} (make build)`],
].filter(([there]) => !there);
if (missing.length > 0) {
  console.log(`${required ? 'not run' : 'skipped'}: Alertmanager's acceptance suite needs ${missing.map(([, name]) => name).join(', ')}`);
  process.exit(required ? 1 : 0);
}

const home = mkdtempSync(join(tmpdir(), 'tenfold-suite-'));

function compile(name) {
  const program = join(home, `${name}.test`);
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'go-build');
  const env = { ...process.env, GO111MODULE: 'off', GOPATH, GOFLAGS: '', GOCACHE: process.env.GOCACHE ?? cache };
  const { status, stderr } = spawnSync('go', ['test', '-c', '-o', program, `${SUITE}/${name}/acceptance`], { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`go test -c ${name}: ${stderr}`);
  return program;
}

function cases(program, env) {
  const { stdout } = spawnSync(program, ['-test.list', '.'], { env, encoding: 'utf8' });
  return stdout.split('\n').filter((name) => /^Test/.test(name) && !LEFT_OUT.test(name) && (chosen.length === 0 || chosen.includes(name)));
}

/** Runs cases and answers with those that failed, and all that was said. */
async function run(program, names, env, parallel) {
  const args = [`-test.run=^(${names.join('|')})$`, '-test.v', '-test.timeout=300s', `-test.parallel=${parallel}`];
  const child = spawn(program, args, { env, cwd: home, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
  await new Promise((resolve) => child.once('exit', resolve));
  return { said, failed: names.filter((name) => !new RegExp(`^--- PASS: ${name} `, 'm').test(said)) };
}

/** One after the other at last; true when each has passed. */
async function judge(program, env) {
  const names = cases(program, env);
  const tries = new Map(names.map((name) => [name, 1]));
  let { failed } = await run(program, names, env, 2);
  for (let again = 2; again <= TRIES && failed.length > 0; again += 1) {
    const still = [];
    for (const name of failed) {
      const result = await run(program, [name], env, 1);
      tries.set(name, again);
      if (result.failed.length > 0) still.push(name);
      if (result.failed.length > 0 && again === TRIES) console.log(result.said);
    }
    failed = still;
  }
  for (const name of names) {
    const late = tries.get(name) > 1 ? ` (try ${tries.get(name)})` : '';
    console.log(`${failed.includes(name) ? 'FAILED' : 'ok    '} ${name}${late}`);
  }
  return { passed: names.length - failed.length, all: names.length };
}

const bin = join(home, 'go', 'bin');
mkdirSync(bin, { recursive: true });
// It warns where the versions of tool and server differ, and the suite reads the warning as a table.
writeFileSync(join(bin, 'amtool'), `#!/bin/sh\nexec ${amtool} --no-version-check "$@"\n`);
chmodSync(join(bin, 'amtool'), 0o755);
symlinkSync(join(GOPATH, 'src'), join(home, 'go', 'src'));
const programs = PACKAGES.map(compile);
const pool = await Pool.open(home, join(bin, 'prometheus-alertmanager'));
try {
  const env = { ...process.env, GOPATH: join(home, 'go') };
  let passed = 0;
  let all = 0;
  for (const program of programs) {
    const result = await judge(program, env);
    passed += result.passed;
    all += result.all;
  }
  console.log(`${passed} of ${all} cases of Alertmanager's acceptance suite`);
  if (all === 0) console.log(`no case was run: ${chosen.length > 0 ? `the suite has none called ${chosen.join(', ')}` : 'its programs list none'}`);
  process.exitCode = all > 0 && passed === all ? 0 : 1;
} finally {
  await pool.close();
  rmSync(home, { recursive: true, force: true });
}
