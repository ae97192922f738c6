// Servers for Alertmanager's acceptance suite, which starts a program with Alertmanager's flags. The program is a few lines of
// shell that ask here: a server that is ready gets the configuration file, and what the suite sends is forwarded to it, with
// the token of a robot (the suite has none) and without the route prefix. Servers are started ahead, since the suite looks for
// its program every half second and counts its times from before it starts it.
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request as ask } from 'node:http';
import { join } from 'node:path';

import { Server } from '../clients/server.mjs';
import { TENFOLD } from '../lib/binary.mjs';
import { until } from '../lib/wait.mjs';

const AHEAD = 3;

/** `port` is that of the pool. SIGHUP gives the configuration again, SIGTERM ends the server. */
const program = (port) => `#!/bin/sh
tell() { curl -sf -G "http://127.0.0.1:${port}/$1" --data-urlencode "flags=$flags" >/dev/null; }
flags=$*
tell start || exit 1
trap 'tell reload' HUP
trap 'tell end; kill $!; exit 0' TERM
while :; do sleep 3600 & wait $!; done
`;

const flag = (flags, name) => new RegExp(`--${name}[= ]([^ ]+)`).exec(flags)?.[1] ?? '';

function listening(server, port, host = '127.0.0.1') {
  return new Promise((resolve, reject) => server.once('error', reject).listen(port, host, () => resolve(server)));
}

export class Pool {
  /** Servers and their folders live in `home`; `shim` is where the program is written. */
  static async open(home, shim) {
    const pool = new Pool();
    Object.assign(pool, { home, ready: [], taken: new Map(), count: 0, agent: new Agent({ keepAlive: true }) });
    pool.first = await Server.start();
    pool.token = (await pool.first.api.post('/api/tokens', { name: 'suite', kind: 'robot', role: 'deployer' })).secret;
    await pool.first.end('SIGTERM');
    for (let i = 0; i < AHEAD; i += 1) pool.ready.push(pool.#spawn());
    await Promise.all(pool.ready);
    pool.control = await listening(createServer((from, answer) => void pool.#told(from, answer)), 0);
    writeFileSync(shim, program(pool.control.address().port));
    chmodSync(shim, 0o755);
    return pool;
  }

  async #spawn() {
    const folder = join(this.home, `server-${(this.count += 1)}`);
    cpSync(join(this.first.folder, 'data'), join(folder, 'data'), { recursive: true });
    const addressFile = join(folder, 'address');
    const args = ['serve', '--config', this.first.config, '--data', join(folder, 'data'), '--listen', '127.0.0.1:0', '--address-file', addressFile];
    const child = spawn(TENFOLD, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, TENFOLD_LOG: 'warn' } });
    await until('a server listens', () => existsSync(addressFile));
    return { child, address: new URL(`http://${readFileSync(addressFile, 'utf8').trim()}`) };
  }

  async #told(from, answer) {
    const url = new URL(from.url, 'http://pool');
    const flags = url.searchParams.get('flags');
    try {
      if (url.pathname === '/start') await this.#start(flags);
      else if (url.pathname === '/reload') await this.#configure(flags);
      else this.#end(flags);
      answer.end();
    } catch (error) {
      console.log(`${url.pathname}: ${error.message}`);
      answer.writeHead(500).end();
    }
  }

  async #start(flags) {
    const server = await this.ready.shift();
    this.ready.push(this.#spawn());
    this.taken.set(flags, server);
    await this.#configure(flags);
    const [host, port] = flag(flags, 'web.listen-address').split(':');
    const prefix = flag(flags, 'web.route-prefix');
    server.forwarder = await listening(createServer((from, answer) => this.#forward(server.address, prefix, from, answer)), Number(port), host);
  }

  #forward(address, prefix, from, answer) {
    const path = from.url.startsWith(prefix) ? from.url.slice(prefix.length) || '/' : from.url;
    const headers = { ...from.headers, authorization: `Bearer ${this.token}`, host: address.host };
    const to = ask({ host: address.hostname, port: address.port, path, method: from.method, headers, agent: this.agent }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    to.on('error', (error) => answer.writeHead(502).end(String(error)));
    from.pipe(to);
  }

  async #configure(flags) {
    const response = await fetch(new URL('/api/routing', this.taken.get(flags).address), {
      method: 'PUT',
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ yaml: readFileSync(flag(flags, 'config.file'), 'utf8') }),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  #end(flags) {
    const server = this.taken.get(flags);
    this.taken.delete(flags);
    server?.child.kill('SIGKILL');
    server?.forwarder?.closeAllConnections();
    server?.forwarder?.close();
  }

  async close() {
    for (const flags of [...this.taken.keys()]) this.#end(flags);
    for (const { value } of await Promise.allSettled(this.ready)) value?.child.kill('SIGKILL');
    this.control.closeAllConnections();
    this.control.close();
    this.agent.destroy();
    await this.first.stop();
  }
}
