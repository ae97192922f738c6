// Hosts that are a network namespace and a mount namespace each, joined by a bridge, each with an sshd, its own /srv and its own
// /tmp. What they hold is in memory unless asked otherwise, since real hosts do not share one disk; the server's side is on the
// disk. Everything is named after the process that made it, so what a killed run left is found and taken away by the next.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, closeSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { until } from '../lib/wait.mjs';
import { Group, groupRoot } from './usage.mjs';

export const HOSTS_MAX = 200;
const NOTES = '/run/tenfold-fleet';
const SSHD = '/usr/sbin/sshd';
/** Not under /tmp, which each host covers with its own. */
const FOLDERS = '/var/tmp';

function run(program, ...args) {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Why no hosts can be made here, in one line; nothing when they can. */
export function whyNot() {
  if (process.getuid() !== 0) return 'hosts in namespaces of their own need root';
  if (!groupRoot()) return 'there are no control groups here, which tell the processor time';
  for (const program of [SSHD, '/usr/bin/unshare', '/usr/bin/nsenter']) if (!existsSync(program)) return `${program} is missing`;
  try {
    run('ip', 'netns', 'add', `tfprobe${process.pid}`);
    run('ip', 'netns', 'exec', `tfprobe${process.pid}`, 'unshare', '--mount', '--propagation', 'private', 'true');
  } catch (error) {
    return `no namespaces can be made here: ${String(error.stderr ?? error.message).trim().split('\n')[0]}`;
  } finally {
    try {
      run('ip', 'netns', 'delete', `tfprobe${process.pid}`);
    } catch {
      // it was not made
    }
  }
  return undefined;
}

/** When a process started, in ticks since the machine did; nothing when there is none. */
function startOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[19];
  } catch {
    return undefined;
  }
}

const names = (pid) => ({
  bridge: `tff${pid}`,
  space: (number) => `tff${pid}-${number}`,
  outside: (number) => `tv${pid}-${number}`,
  group: (side) => `tenfold-fleet-${pid}-${side}`,
  // short: ssh shares its connections by sockets whose paths hold some 100 bytes
  folder: join(FOLDERS, `tff${pid}`),
});

/** Takes away everything of one run, whatever of it there is. */
async function takeAway(pid) {
  const own = names(pid);
  for (const side of ['server', 'hosts']) if (existsSync(join(groupRoot(), own.group(side)))) await new Group(own.group(side)).end();
  const spaces = existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => name.startsWith(`${own.bridge}-`)) : [];
  for (const space of spaces) run('ip', 'netns', 'delete', space);
  // an interface goes with its namespace, but not in the same moment
  for (const link of readdirSync('/sys/class/net').filter((name) => name === own.bridge || name.startsWith(`tv${pid}-`))) {
    try {
      run('ip', 'link', 'delete', link);
    } catch (error) {
      if (existsSync(`/sys/class/net/${link}`)) throw error;
    }
  }
  if (readFileSync('/proc/mounts', 'utf8').includes(` ${join(own.folder, 'hosts')} `)) run('umount', join(own.folder, 'hosts'));
  rmSync(own.folder, { recursive: true, force: true });
  rmSync(join(NOTES, String(pid)), { force: true });
}

/** What runs that were killed left behind. */
export async function takeAwayLeftovers() {
  if (!existsSync(NOTES)) return;
  for (const pid of readdirSync(NOTES)) {
    const started = readFileSync(join(NOTES, pid), 'utf8').trim();
    if (startOf(pid) !== started) await takeAway(pid);
  }
}

/** What this run made, for one that ends early. */
export async function takeAwayOwn() {
  await takeAway(process.pid);
}

export class Fleet {
  static async start(count, { disk }) {
    const fleet = new Fleet();
    fleet.count = count;
    fleet.own = names(process.pid);
    mkdirSync(NOTES, { recursive: true });
    writeFileSync(join(NOTES, String(process.pid)), startOf(process.pid));
    try {
      fleet.folder = fleet.own.folder;
      mkdirSync(fleet.path('hosts'), { recursive: true });
      if (!disk) run('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', fleet.path('hosts'));
      fleet.server = new Group(fleet.own.group('server'));
      fleet.side = new Group(fleet.own.group('hosts'));
      fleet.net = `10.213.${process.pid % 250}`;
      fleet.address = `${fleet.net}.1`;
      fleet.#bridge();
      fleet.#keys();
      fleet.hosts = [];
      for (let number = 1; number <= count; number++) fleet.hosts.push(fleet.#host(number));
      await Promise.all(fleet.hosts.map((host) => fleet.#listens(host)));
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  path(name) {
    return join(this.folder, name);
  }

  #bridge() {
    run('ip', 'link', 'add', this.own.bridge, 'type', 'bridge');
    run('ip', 'address', 'add', `${this.address}/24`, 'dev', this.own.bridge);
    run('ip', 'link', 'set', this.own.bridge, 'up');
  }

  /** One key for whoever comes, one for all hosts; of a kind that Capistrano's own ssh library has. */
  #keys() {
    mkdirSync('/run/sshd', { recursive: true });
    run('ssh-keygen', '-q', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', '', '-f', this.path('key'));
    run('ssh-keygen', '-q', '-t', 'ecdsa', '-N', '', '-f', this.path('host_key'));
  }

  #host(number) {
    const [space, outside] = [this.own.space(number), this.own.outside(number)];
    const address = `${this.net}.${number + 1}`;
    const folder = this.path(`hosts/${number}`);
    for (const name of ['srv', 'tmp/home']) mkdirSync(join(folder, name), { recursive: true, mode: 0o755 });
    run('ip', 'netns', 'add', space);
    run('ip', 'link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
    run('ip', 'link', 'set', outside, 'master', this.own.bridge, 'up');
    run('ip', '-n', space, 'link', 'set', 'lo', 'up');
    run('ip', '-n', space, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    run('ip', '-n', space, 'link', 'set', 'eth0', 'up');
    const config = [
      'Port 22', `ListenAddress ${address}`, `HostKey ${this.path('host_key')}`, `AuthorizedKeysFile ${this.path('key.pub')}`,
      'PidFile none', 'StrictModes no', 'UsePAM no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password', 'MaxSessions 50', 'MaxStartups 100', 'UseDNS no',
      // not this machine's own, whose shell may start anything
      'SetEnv HOME=/tmp/home', '',
    ];
    writeFileSync(join(folder, 'sshd.conf'), config.join('\n'));
    const mounts = 'mount --bind "$1/srv" /srv && mount --bind "$1/tmp" /tmp && exec "$2" -D -e -f "$1/sshd.conf"';
    const command = ['ip', 'netns', 'exec', space, 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', mounts, 'sh', folder, SSHD];
    const sshd = this.start(this.side.within(...command), join(folder, 'sshd.log'));
    return { name: `host-${number}`, address, folder, outside, sshd };
  }

  async #listens(host) {
    const key = readFileSync(this.path('host_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
    await until(`sshd of ${host.name} listens`, () => {
      if (host.sshd.exitCode !== null) throw new Error(`it ended: ${readFileSync(join(host.folder, 'sshd.log'), 'utf8')}`);
      return readFileSync(join(host.folder, 'sshd.log'), 'utf8').includes('Server listening');
    });
    writeFileSync(this.path('known_hosts'), `${host.address} ${key}\n`, { flag: 'a' });
  }

  /** Starts a command whose output goes to a file. */
  start([program, ...args], log, options = {}) {
    const out = openSync(log, 'a');
    const child = spawn(program, args, { ...options, stdio: ['ignore', out, out] });
    closeSync(out);
    return child;
  }

  /** Words that run a command on a host. `unshare` and `ip` become the sshd, so its process is the one whose spaces they are. */
  on(host, ...command) {
    return this.side.within('nsenter', '--target', String(host.sshd.pid), '--net', '--mount', '--', ...command);
  }

  /** Where a path of a host stands on this machine. */
  seen(host, path) {
    if (!path.startsWith('/srv/')) throw new Error(`${host.name}: ${path} is not under /srv`);
    return join(host.folder, path);
  }

  /** Bytes that went to the hosts and came from them, and the processor seconds of both sides, until now. */
  used() {
    const count = (host, name) => Number(readFileSync(`/sys/class/net/${host.outside}/statistics/${name}`, 'utf8'));
    const sum = (name) => this.hosts.reduce((all, host) => all + count(host, name), 0);
    return { to: sum('tx_bytes'), from: sum('rx_bytes'), server: this.server.seconds(), hosts: this.side.seconds() };
  }

  async stop() {
    await takeAway(process.pid);
  }
}
