// A server of its own for a test: a temporary data directory, a free port, one administrator.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Api } from '../lib/api.mjs';
import { TENFOLD } from '../lib/binary.mjs';
import { until } from '../lib/wait.mjs';

export class Server {
  /** `settings`: more of the settings file; `statsd`: its table of that name, off unless given. */
  static async start(settings = '', statsd = 'listen = ""\n') {
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), 'tenfold-clients-'));
    server.addressFile = join(server.folder, 'address');
    server.config = join(server.folder, 'tenfold.toml');
    writeFileSync(server.config, `[statsd]\n${statsd}${settings}`);
    server.output = '';
    server.#spawn('127.0.0.1:0');
    const token = await until('the server gives a setup link', () => {
      server.#alive();
      return existsSync(server.addressFile) && /token=([\w-]+)/.exec(server.output)?.[1];
    });
    server.address = readFileSync(server.addressFile, 'utf8').trim();
    server.url = `http://${server.address}`;
    server.api = await new Api(server.url).setup({ token, login: 'mei', name: 'Mei', password: 'a few plain words' });
    return server;
  }

  #spawn(listen) {
    const args = ['--config', this.config, '--data', join(this.folder, 'data'), '--listen', listen, '--address-file', this.addressFile];
    this.child = spawn(TENFOLD, ['serve', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TENFOLD_LOG: 'warn' } });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.output += text));
    }
  }

  #alive() {
    if (this.child.exitCode !== null) throw new Error(`the server ended: ${this.output}`);
  }

  async token(name, kind, environment = kind === 'metrics' ? undefined : 'production') {
    return (await this.api.post('/api/tokens', { name, kind, environment })).secret;
  }

  async end(signal) {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await ended;
  }

  /** As a power cut or the kernel would: nothing is said to anybody. */
  kill() {
    return this.end('SIGKILL');
  }

  /** On the same address, with the same data. */
  async restart() {
    rmSync(this.addressFile, { force: true });
    this.#spawn(this.address);
    await until('the server is back', () => {
      this.#alive();
      return existsSync(this.addressFile);
    });
  }

  /** The kernel still takes connections for it, but it does nothing. */
  pause() {
    this.child.kill('SIGSTOP');
  }

  resume() {
    this.child.kill('SIGCONT');
  }

  async stop() {
    this.resume();
    await this.end('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
