// A server of its own for a test: a temporary data directory, a free port, one administrator.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Api } from '../lib/api.mjs';
import { TENFOLD } from '../lib/binary.mjs';
import { until } from '../lib/wait.mjs';

export class Server {
  static async start() {
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), 'tenfold-clients-'));
    const addressFile = join(server.folder, 'address');
    const config = join(server.folder, 'tenfold.toml');
    writeFileSync(config, '[statsd]\nlisten = ""\n');
    const args = ['--config', config, '--data', join(server.folder, 'data'), '--listen', '127.0.0.1:0', '--address-file', addressFile];
    server.output = '';
    server.child = spawn(TENFOLD, ['serve', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TENFOLD_LOG: 'warn' } });
    for (const stream of [server.child.stdout, server.child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (server.output += text));
    }
    const token = await until('the server gives a setup link', () => {
      if (server.child.exitCode !== null) throw new Error(`the server ended: ${server.output}`);
      return existsSync(addressFile) && /token=([\w-]+)/.exec(server.output)?.[1];
    });
    server.url = `http://${readFileSync(addressFile, 'utf8').trim()}`;
    server.api = await new Api(server.url).setup({ token, login: 'mei', name: 'Mei', password: 'a few plain words' });
    return server;
  }

  async token(name, kind) {
    return (await this.api.post('/api/tokens', { name, kind, environment: 'production' })).secret;
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
