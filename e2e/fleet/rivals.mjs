// The same by Debian's capistrano and ansible, each as its documentation has it and with what makes it fast.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';

import { until } from '../lib/wait.mjs';

/** Runs a command to its end, in the server's control group. */
async function run(fleet, command, options) {
  const log = fleet.path('rival.log');
  const child = fleet.start(fleet.server.within(...command), log, options);
  const code = await new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject));
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${readFileSync(log, 'utf8').slice(-4_000)}`);
}

/** The hosts fetch from a git daemon: the cheapest way there is, which spares them the second ssh. */
export class Capistrano {
  static title = 'capistrano';

  constructor(fleet, repository) {
    Object.assign(this, { fleet, repository });
  }

  current = '/srv/photos/current';

  async start() {
    const { fleet } = this;
    this.folder = fleet.path('cap');
    mkdirSync(`${this.folder}/config/deploy`, { recursive: true });
    writeFileSync(`${this.folder}/Capfile`, [
      'require "capistrano/setup"', 'require "capistrano/deploy"', 'require "capistrano/scm/git"', 'install_plugin Capistrano::SCM::Git', '',
    ].join('\n'));
    writeFileSync(`${this.folder}/config/deploy.rb`, [
      'lock ">= 3.0"', 'set :application, "photos"', `set :repo_url, "git://${fleet.address}/repository"`, 'set :branch, "main"',
      'set :deploy_to, "/srv/photos"', 'set :format, :simpletext', 'set :log_level, :info', 'set :git_shallow_clone, 1', '',
    ].join('\n'));
    const options = `keys: ["${fleet.path('key')}"], keys_only: true, config: false, user_known_hosts_file: "${fleet.path('known_hosts')}", verify_host_key: :always`;
    const servers = fleet.hosts.map(({ address }) => `server "${address}", user: "root", roles: %w{app}, ssh_options: { ${options} }`);
    writeFileSync(`${this.folder}/config/deploy/production.rb`, `${servers.join('\n')}\n`);
    const daemon = ['git', 'daemon', '--export-all', `--listen=${fleet.address}`, '--reuseaddr', '--max-connections=0', `--base-path=${fleet.path('.')}`, fleet.path('repository')];
    fleet.start(fleet.server.within(...daemon), fleet.path('git.log'));
    await until('the git daemon listens', () => new Promise((resolve) => {
      const probe = createConnection(9418, fleet.address, () => resolve(true) || probe.destroy());
      probe.once('error', () => resolve(false));
    }));
  }

  async deploy() {
    const { SSH_AUTH_SOCK: _, ...env } = process.env;
    await run(this.fleet, ['cap', 'production', 'deploy'], { cwd: this.folder, env: { ...env, HOME: this.folder } });
    return {};
  }
}

/** The checkout goes over by rsync, what did not change is linked from the release before, and a link leads to it. */
export class Ansible {
  static title = 'ansible';

  constructor(fleet, repository) {
    Object.assign(this, { fleet, repository, number: 0 });
  }

  current = '/srv/photos/current';

  async start() {
    const { fleet } = this;
    this.folder = fleet.path('ansible');
    mkdirSync(this.folder);
    writeFileSync(`${this.folder}/hosts`, `[web]\n${fleet.hosts.map(({ address }) => address).join('\n')}\n`);
    writeFileSync(`${this.folder}/ansible.cfg`, [
      '[defaults]', 'inventory = hosts', `forks = ${fleet.count}`, 'gathering = explicit', 'remote_user = root', `private_key_file = ${fleet.path('key')}`,
      'interpreter_python = /usr/bin/python3', 'remote_tmp = /tmp/.ansible', `local_tmp = ${this.folder}/tmp`, 'nocows = true', 'retry_files_enabled = false', '',
      '[ssh_connection]', 'pipelining = true', `control_path_dir = ${this.folder}/cp`,
      `ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=${fleet.path('known_hosts')} -o StrictHostKeyChecking=yes`, '',
    ].join('\n'));
    writeFileSync(`${this.folder}/deploy.yml`, `- hosts: web
  tasks:
    - name: a folder for the release
      ansible.builtin.file:
        path: "/srv/photos/releases/{{ release }}"
        state: directory
    - name: its files
      ansible.posix.synchronize:
        src: "{{ source }}/"
        dest: "/srv/photos/releases/{{ release }}/"
        use_ssh_args: true
        owner: false
        group: false
        rsync_opts: ["--exclude=/.git", "--exclude=/.tenfold", "--link-dest=/srv/photos/current/"]
    - name: the flip
      ansible.builtin.file:
        src: "/srv/photos/releases/{{ release }}"
        dest: /srv/photos/current
        state: link
`);
  }

  async deploy() {
    this.number += 1;
    const command = ['ansible-playbook', 'deploy.yml', '-e', `release=${this.number} source=${this.repository}`];
    await run(this.fleet, command, { cwd: this.folder, env: { ...process.env, HOME: this.folder, ANSIBLE_CONFIG: `${this.folder}/ansible.cfg` } });
    return {};
  }
}
