// A bare server of its own for a test: an empty data directory, a free port, and one person who set it up.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Api } from './api.mjs';
import { TENFOLD } from './binary.mjs';
import { outside } from './demo.mjs';
import { servePages } from './pages.mjs';
import { until } from './wait.mjs';

export const PASSWORD = 'a password of my choice';

export class Server {
  static async start() {
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), 'tenfold-server-'));
    server.output = '';
    const address = join(server.folder, 'address');
    const { TENFOLD_TOKEN: _, TENFOLD_URL: __, ...env } = outside();
    server.process = spawn(TENFOLD, ['serve', '--data', join(server.folder, 'data'), '--listen', '127.0.0.1:0', '--address-file', address], { stdio: ['ignore', 'pipe', 'pipe'], env });
    for (const stream of [server.process.stdout, server.process.stderr]) stream.on('data', (text) => (server.output += text));
    server.ended = new Promise((resolve) => server.process.once('exit', resolve));
    try {
      await until('the server listens', () => {
        if (server.process.exitCode !== null) throw new Error(`the server ended with ${server.process.exitCode}`);
        return existsSync(address) && readFileSync(address, 'utf8').trim();
      }, { within_ms: 60_000 });
      server.url = `http://${readFileSync(address, 'utf8').trim().replace(/^http:\/\//, '')}`;
      const token = await until('the setup link is printed', () => /setup\?token=(\S+)/.exec(server.output)?.[1]);
      // With TENFOLD_PAGES=web/dist the pages are those of the folder, not those that are compiled in.
      server.pages = process.env.TENFOLD_PAGES ? await servePages(process.env.TENFOLD_PAGES, server.url) : { url: server.url, close: () => {} };
      server.ana = await new Api(server.url).setup({ token, login: 'ana', name: 'Ana', password: PASSWORD });
    } catch (error) {
      await server.stop();
      throw new Error(`${error.message}\n${server.output}`);
    }
    return server;
  }

  /** One more person, signed in. */
  async person(login, role) {
    await this.ana.put(`/api/people/${login}`, { name: login, role, password: PASSWORD });
    return new Api(this.url).signIn(login, PASSWORD);
  }

  async stop() {
    await this.pages?.close();
    if (this.process.exitCode === null) this.process.kill('SIGTERM');
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
