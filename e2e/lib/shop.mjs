// A service to deploy: a repository of its own, six agents that run it, and a server that conducts. It counts requests by itself.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { TENFOLD } from './binary.mjs';
import { outside } from './demo.mjs';
import { until } from './wait.mjs';

export const HOSTS = [1, 2, 3, 4, 5, 6].map((n) => `host-${n}`);

const PROGRAM = `import http from 'node:http';
let total = 0;
setInterval(() => (total += 20), 100).unref();
http.createServer((request, response) => {
  if (request.url !== '/metrics') return response.end('ok');
  response.setHeader('content-type', 'text/plain; version=0.0.4');
  response.end('# TYPE shop_requests_total counter\\nshop_requests_total{code="200"} ' + total + '\\nshop_requests_total{code="500"} 0\\n');
}).listen(process.env.PORT, '127.0.0.1');
console.log('the shop is open');
`;

/** The pipeline file is JSON, which is YAML as well. `target` and `more` are what a test is about. */
const pipeline = (target, more) => JSON.stringify({
  service: 'shop',
  build: { command: ['sh', '-c', 'echo one line of output; echo one of errors >&2; mkdir -p dist; cp server.mjs version.txt dist'] },
  artifact: { paths: ['dist/**'] },
  run: { command: ['node', 'dist/server.mjs'], drain_s: 0, stop_within_s: 2 },
  health: { http: '/healthz', within_s: 20 },
  metrics: { path: '/metrics' },
  targets: { production: { hosts: 'all', batch: '100%', ...target } },
  ...more,
}, null, 2);

/** What the agent wrote down last: of its two slots the one with the higher number. */
const newestState = (folder) => ['state.a', 'state.b'].map((name) => {
  try {
    const text = readFileSync(join(folder, name));
    const end = text.indexOf(10);
    const [, number, length] = text.subarray(0, end).toString().split(' ').map(Number);
    return { number, state: JSON.parse(text.subarray(end + 1, end + 1 + length).toString()) };
  } catch {
    return { number: 0, state: {} };
  }
}).sort((one, other) => other.number - one.number)[0].state;

export class Shop {
  static async open(server) {
    const shop = new Shop();
    shop.server = server;
    shop.repository = join(server.folder, 'shop');
    shop.agents = [];
    shop.ended = [];
    mkdirSync(shop.repository);
    shop.#git('init', '--quiet', '--initial-branch', 'main');
    shop.#write('server.mjs', PROGRAM);
    shop.commit('Open the shop');
    await server.ana.put('/api/services/shop', { repository: shop.repository, environments: ['production'], description: 'Sells things' });
    const { secret } = await server.ana.post('/api/tokens', { name: 'agents', kind: 'agent' });
    for (const name of HOSTS) {
      const agent = spawn(TENFOLD, ['agent', '--server', server.url, '--name', name, '--dir', shop.#folder(name)], { stdio: 'ignore', env: { ...outside(), TENFOLD_TOKEN: secret } });
      shop.agents.push(agent);
      shop.ended.push(new Promise((resolve) => agent.once('exit', resolve)));
    }
    await until('every agent is there', async () => (await server.ana.items('/api/hosts')).filter(({ state }) => state === 'connected').length === HOSTS.length);
    return shop;
  }

  /** Commits the pipeline file with these gates; the commit. */
  commit(message, { author = 'ana', target = {}, ...more } = {}) {
    this.#write('.tenfold/deploy.yaml', pipeline(target, more));
    this.#write('version.txt', `${message}\n`);
    this.#git('add', '--all');
    this.#git('-c', `user.name=${author}`, '-c', `user.email=${author}@shop.example`, 'commit', '--quiet', '-m', message);
    return this.#git('rev-parse', 'HEAD').trim();
  }

  async deploy(api = this.server.ana) {
    return (await api.post('/api/deploys', { service: 'shop' })).number;
  }

  /** Waits until the deploy is in this state; it must not end in another. */
  reaches(number, state, within_ms = 30_000) {
    return until(`deploy ${number} is ${state}`, async () => {
      const deploy = await this.server.ana.get(`/api/deploys/${number}`);
      return deploy.state === state && deploy;
    }, { within_ms });
  }

  async ship(message, more) {
    this.commit(message, more);
    const number = await this.deploy();
    await this.reaches(number, 'succeeded');
    return number;
  }

  /** Ends the agents, then the services, which outlive them; by the ids of each. */
  async close() {
    for (const agent of this.agents) if (agent.exitCode === null) agent.kill('SIGTERM');
    await Promise.all(this.ended);
    for (const name of HOSTS) {
      const state = newestState(join(this.#folder(name), 'services/shop'));
      for (const one of [state.current?.process, state.beside?.active?.process, state.starting, ...(state.ending ?? [])]) {
        const pid = one?.pid ?? one?.process?.pid;
        if (!pid) continue;
        try {
          process.kill(-pid, 'SIGKILL');
        } catch {
          // It has ended.
        }
      }
    }
  }

  #folder(name) {
    return join(this.server.folder, name);
  }

  #write(name, text) {
    const path = join(this.repository, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  #git(...args) {
    return execFileSync('git', args, { cwd: this.repository, encoding: 'utf8' });
  }
}
