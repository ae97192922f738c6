// Deploys by tenfold: a server of its own, with an agent on each host or over ssh.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import { Api } from '../lib/api.mjs';
import { TENFOLD } from '../lib/binary.mjs';
import { until } from '../lib/wait.mjs';

const DOOR = 7071;
/** A question costs the server some milliseconds, which count as its own; when a deploy ended it says itself. */
const LOOK_MS = 200;
const DEPLOY_MS_MAX = 600_000;
const PASSWORD = 'a password of my choice';

class Tenfold {
  constructor(fleet, repository) {
    Object.assign(this, { fleet, repository });
  }

  async start() {
    const { fleet } = this;
    mkdirSync(fleet.path('data'), { recursive: true });
    writeFileSync(fleet.path('tenfold.toml'), `[statsd]\nlisten = ""\n${this.settings()}`);
    const { TENFOLD_TOKEN: _, TENFOLD_URL: __, ...env } = process.env;
    const command = [TENFOLD, 'serve', '--data', fleet.path('data'), '--config', fleet.path('tenfold.toml'), '--listen', '127.0.0.1:0', '--address-file', fleet.path('address')];
    this.process = fleet.start(fleet.server.within(...command), fleet.path('server.log'), { env });
    const log = () => readFileSync(fleet.path('server.log'), 'utf8');
    const at = await until('the server listens', () => {
      if (this.process.exitCode !== null) throw new Error(`it ended: ${log()}`);
      return existsSync(fleet.path('address')) && readFileSync(fleet.path('address'), 'utf8').trim();
    });
    const token = await until('the setup link is printed', () => /setup\?token=(\S+)/.exec(log())?.[1]);
    this.ana = await new Api(`http://${at.replace(/^http:\/\//, '')}`).setup({ token, login: 'ana', name: 'Ana', password: PASSWORD });
    await this.ana.put('/api/services/photos', { repository: this.repository, environments: ['production'] });
    await this.letIn();
    const connected = async () => (await this.ana.items('/api/hosts')).filter(({ state }) => state === 'connected').length;
    await until('every host is there', async () => (await connected()) === fleet.count, { within_ms: 120_000 });
  }

  async #reaches(number, wanted) {
    return until(`deploy ${number} is ${wanted}`, async () => {
      const deploy = await this.ana.get(`/api/deploys/${number}`);
      if (deploy.state !== wanted && deploy.finished_at) this.failed = `deploy ${number} ${deploy.state}: ${deploy.error ?? ''}`;
      return (deploy.state === wanted && deploy) || this.failed;
    }, { within_ms: DEPLOY_MS_MAX, poll_ms: LOOK_MS });
  }

  /** One deploy; it is approved as soon as every host holds the release. Says when that was. */
  async deploy() {
    const started = performance.now();
    const { number } = await this.ana.post('/api/deploys', { service: 'photos', environment: 'production' });
    await this.#reaches(number, 'awaiting_approval');
    if (this.failed) throw new Error(this.failed);
    const staged = performance.now();
    const clicked = Date.now();
    await this.ana.post(`/api/deploys/${number}/approve`);
    const deploy = await this.#reaches(number, 'succeeded');
    if (this.failed) throw new Error(this.failed);
    const [staged_ms, flip_ms] = [staged - started, Date.parse(deploy.finished_at) - clicked];
    return { staged_ms, flip_ms, wall_ms: staged_ms + flip_ms };
  }
}

export class ByAgents extends Tenfold {
  static title = 'tenfold, agents';

  settings() {
    return `[agents]\nlisten = "${this.fleet.address}:${DOOR}"\nnames = ["${this.fleet.address}"]\n`;
  }

  async letIn() {
    const { fleet } = this;
    for (const host of fleet.hosts) {
      const { secret, token } = await this.ana.post('/api/agents/enrolments', { host: host.name, environment: 'production' });
      const enrolment = `${host.folder}/enrolment`;
      writeFileSync(enrolment, secret ?? token, { mode: 0o600 });
      const command = [TENFOLD, 'agent', '--server', `https://${fleet.address}:${DOOR}`, '--enrolment-file', enrolment, '--name', host.name, '--label', 'role=web', '--dir', '/srv/agent', '--no-host-metrics'];
      fleet.start(fleet.on(host, ...command), `${host.folder}/agent.log`);
    }
  }

  current = '/srv/agent/services/photos/current';
}

export class BySsh extends Tenfold {
  static title = 'tenfold, ssh';

  settings() {
    const { fleet } = this;
    const hosts = fleet.hosts.map(({ name, address }) => [
      '[[ssh.hosts]]', `name = "${name}"`, `address = "${address}"`, 'user = "root"', 'environment = "production"',
      'labels = { role = "web" }', 'deploy_to = "/srv/{service}"', '',
    ].join('\n'));
    return `[ssh]\nknown_hosts_file = "${fleet.path('known_hosts')}"\nidentity_file = "${fleet.path('key')}"\n${hosts.join('')}`;
  }

  async letIn() {}

  current = '/srv/photos/current';
}
