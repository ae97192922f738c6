// A demo of its own for a test: real servers in a temporary folder, on free ports, with nobody at work.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Api } from './api.mjs';
import { TENFOLD } from './binary.mjs';
import { until } from './wait.mjs';

const READY_MS_MAX = 120_000;

/** The environment as it is outside a test: a build that runs tests of its own must not take itself for a part of this one. */
export function outside() {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return env;
}

export class Demo {
  static async start({ args = ['--no-script'], ready = true } = {}) {
    const demo = new Demo();
    demo.folder = mkdtempSync(join(tmpdir(), 'tenfold-e2e-'));
    demo.data = join(demo.folder, 'demo');
    demo.output = '';
    demo.started = performance.now();
    demo.process = spawn(TENFOLD, ['demo', '--data', demo.data, '--listen', '127.0.0.1:0', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: outside(),
    });
    for (const stream of [demo.process.stdout, demo.process.stderr]) stream.on('data', (text) => (demo.output += text));
    demo.ended = new Promise((resolve) => demo.process.once('exit', resolve));
    try {
      await demo.#until('demo.json');
      demo.about = JSON.parse(readFileSync(join(demo.data, 'demo.json'), 'utf8'));
      if (ready) await demo.#until('ready');
    } catch (error) {
      await demo.stop();
      throw new Error(`${error.message}\n${demo.output}`);
    }
    demo.url = demo.about.url;
    demo.visitor = new Api(demo.url);
    demo.ana = await demo.visitor.signIn('ana', demo.about.password);
    return demo;
  }

  #until(file) {
    const there = () => {
      if (this.process.exitCode !== null) throw new Error(`the demo ended with ${this.process.exitCode}`);
      return existsSync(join(this.data, file));
    };
    return until(`the demo writes ${file}`, there, { within_ms: READY_MS_MAX });
  }

  pid(name) {
    const path = join(this.data, 'pids', name);
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : null;
  }

  log(name) {
    return readFileSync(join(this.data, 'logs', `${name}.log`), 'utf8');
  }

  /** Kills the server as a power cut would, and waits until it serves again; the milliseconds it was away. */
  async killServer() {
    const pid = this.pid('server');
    const killed = performance.now();
    process.kill(pid, 'SIGKILL');
    await until('the server is another process', () => this.pid('server') !== pid, { poll_ms: 10 });
    await until('the server serves again', () => this.visitor.get('/readyz'), { poll_ms: 10 });
    return performance.now() - killed;
  }

  async stop() {
    if (this.process.exitCode === null) this.process.kill('SIGTERM');
    await this.ended;
    if (process.env.TENFOLD_KEEP) console.log(`  kept: ${this.folder}`);
    else rmSync(this.folder, { recursive: true, force: true });
  }
}
