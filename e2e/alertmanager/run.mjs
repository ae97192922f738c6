// Alertmanager's own acceptance suite, API v2 and amtool, against a running server. It comes with Debian's packages
// golang-go and golang-github-prometheus-alertmanager-dev and is compiled where it lies; nothing of it is copied here.
// Arguments choose cases: `node e2e/alertmanager/run.mjs TestRepeat`.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

import { Server } from '../clients/server.mjs';
import { TENFOLD } from '../lib/binary.mjs';
import { until } from '../lib/wait.mjs';

const GOPATH = '/usr/share/gocode';
const SUITE = 'github.com/prometheus/alertmanager/test';
const PACKAGES = ['with_api_v2', 'cli'];
/** Three nodes that gossip; several nodes here share a database instead. */
const LEFT_OUT = /^TestCluster/;
/** Servers that are started before a case asks for one. */
const AHEAD = 2;

function found(name) {
  return process.env.PATH.split(':').map((folder) => join(folder, name)).find(existsSync);
}

const amtool = found('amtool');
const missing = [
  [found('go'), 'golang-go'],
  [existsSync(join(GOPATH, 'src', SUITE)), 'golang-github-prometheus-alertmanager-dev'],
  [amtool, 'prometheus-alertmanager'],
  [existsSync(TENFOLD), `${TENFOLD} (make build)`],
].filter(([there]) => !there);
if (missing.length > 0) {
  console.log(`skipped: Alertmanager's acceptance suite needs ${missing.map(([, name]) => name).join(', ')}`);
  process.exit(0);
}

const home = mkdtempSync(join(tmpdir(), 'tenfold-suite-'));

/** Servers that are ready, each on a copy of one data directory with an administrator and a robot. */
class Pool {
  static async open() {
    const pool = new Pool();
    pool.first = await Server.start();
    pool.token = (await pool.first.api.post('/api/tokens', { name: 'suite', kind: 'robot', role: 'deployer' })).secret;
    await pool.first.end('SIGTERM');
    pool.running = new Map();
    pool.ready = [];
    pool.count = 0;
    for (let i = 0; i < AHEAD; i += 1) pool.ready.push(pool.#start());
    await Promise.all(pool.ready);
    pool.control = createServer((request, answer) => void pool.#answer(request, answer)).listen(0, '127.0.0.1');
    await new Promise((resolve) => pool.control.once('listening', resolve));
    pool.url = `http://127.0.0.1:${pool.control.address().port}`;
    return pool;
  }

  async #start() {
    const folder = join(home, `server-${(this.count += 1)}`);
    cpSync(join(this.first.folder, 'data'), join(folder, 'data'), { recursive: true });
    const addressFile = join(folder, 'address');
    const args = ['serve', '--config', this.first.config, '--data', join(folder, 'data'), '--listen', '127.0.0.1:0', '--address-file', addressFile];
    const child = spawn(TENFOLD, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, TENFOLD_LOG: 'warn' } });
    await until('a server listens', () => existsSync(addressFile));
    const address = readFileSync(addressFile, 'utf8').trim();
    this.running.set(address, child);
    return address;
  }

  async #answer(request, answer) {
    const [what, address] = request.url.slice(1).split('?');
    if (what === 'take') {
      this.ready.push(this.#start());
      answer.end(await this.ready.shift());
    } else {
      this.running.get(address)?.kill('SIGKILL');
      this.running.delete(address);
      answer.end();
    }
  }

  async close() {
    this.control.close();
    await Promise.allSettled(this.ready);
    for (const child of this.running.values()) child.kill('SIGKILL');
    await this.first.stop();
  }
}

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
  const wanted = process.argv.slice(2);
  return stdout.split('\n').filter((name) => /^Test/.test(name) && !LEFT_OUT.test(name) && (wanted.length === 0 || wanted.includes(name)));
}

async function run(program, env) {
  const names = cases(program, env);
  if (names.length === 0) return [];
  const args = [`-test.run=^(${names.join('|')})$`, '-test.v', '-test.timeout=300s', '-test.parallel=2'];
  const child = spawn(program, args, { env, cwd: home, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
  await new Promise((resolve) => child.once('exit', resolve));
  const passed = names.filter((name) => new RegExp(`^--- PASS: ${name} `, 'm').test(said));
  if (passed.length < names.length) console.log(said);
  return names.map((name) => [name, passed.includes(name)]);
}

const programs = PACKAGES.map(compile);
const pool = await Pool.open();
try {
  const bin = join(home, 'go', 'bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync(join(GOPATH, 'src'), join(home, 'go', 'src'));
  symlinkSync(amtool, join(bin, 'amtool'));
  const shim = join(bin, 'prometheus-alertmanager');
  writeFileSync(shim, `#!/bin/sh\nexec node ${join(import.meta.dirname, 'shim.mjs')} "$@"\n`);
  chmodSync(shim, 0o755);
  const env = { ...process.env, GOPATH: join(home, 'go'), SUITE_POOL: pool.url, SUITE_TOKEN: pool.token };
  const results = [];
  for (const program of programs) results.push(...(await run(program, env)));
  for (const [name, passed] of results) console.log(`${passed ? 'ok    ' : 'FAILED'} ${name}`);
  const passed = results.filter(([, is]) => is).length;
  console.log(`${passed} of ${results.length} cases of Alertmanager's acceptance suite`);
  process.exitCode = results.length > 0 && passed === results.length ? 0 : 1;
} finally {
  await pool.close();
  rmSync(home, { recursive: true, force: true });
}
