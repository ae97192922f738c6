// Debian's Prometheus, Alertmanager, Nagios and Icinga for the benches: each with a folder of its own, on free ports, ended by the bench.
// What is not installed is said in one line, and nothing is answered.
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as listen } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { until } from '../lib/wait.mjs';

const NAGIOS = '/usr/sbin/nagios4';
const ICINGA = '/usr/sbin/icinga2';

function program(name, packages, ...paths) {
  const found = paths.find(existsSync);
  if (!found) console.log(`skipped: ${name} is not installed (Debian: ${packages})`);
  return found;
}

/** Ends a process and removes what it wrote. */
const ending = (child, folder) => async () => {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
};

export function freePort() {
  return new Promise((resolve) => {
    const probe = listen().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** With this configuration, alone: it gossips with nobody. */
export async function alertmanager(config) {
  const path = program('Alertmanager', 'prometheus-alertmanager', '/usr/bin/prometheus-alertmanager', '/usr/local/bin/alertmanager');
  if (!path) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-alertmanager-'));
  writeFileSync(join(folder, 'config.yml'), config);
  const address = `127.0.0.1:${await freePort()}`;
  const args = ['--config.file', join(folder, 'config.yml'), '--storage.path', folder, '--web.listen-address', address, '--cluster.listen-address='];
  const child = spawn(path, args, { stdio: 'ignore' });
  await until('Alertmanager answers', () => fetch(`http://${address}/-/ready`).then((r) => r.ok, () => false));
  return { name: 'Alertmanager', pid: child.pid, address, headers: {}, stop: ending(child, folder) };
}

/**
 * With the intervals of the configuration that it comes with, taking remote write as well. `targets` are scraped, `alertmanagers` are
 * told; both are addresses. Rules are what `rules` gives it, as the text of a rule file.
 */
export async function prometheus({ targets = [], alertmanagers = [] } = {}) {
  const path = program('Prometheus', 'prometheus', '/usr/bin/prometheus', '/usr/local/bin/prometheus');
  if (!path) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-prometheus-'));
  const file = (name) => join(folder, name);
  const listed = (addresses) => `static_configs: [{targets: [${addresses.map((address) => `'${address}'`).join(', ')}]}]`;
  const config = [
    'global: {scrape_interval: 15s, evaluation_interval: 15s}',
    'rule_files: [rules.yml]',
    `alerting: {alertmanagers: [{${listed(alertmanagers)}}]}`,
    `scrape_configs: [{job_name: bench, ${listed(targets)}}]`,
  ];
  writeFileSync(file('prometheus.yml'), `${config.join('\n')}\n`);
  writeFileSync(file('rules.yml'), 'groups: []\n');
  const address = `127.0.0.1:${await freePort()}`;
  const args = ['--config.file', file('prometheus.yml'), '--storage.tsdb.path', file('data'), '--web.listen-address', address, '--web.enable-remote-write-receiver', '--web.enable-lifecycle'];
  const child = spawn(path, args, { stdio: 'ignore' });
  await until('Prometheus answers', () => fetch(`http://${address}/-/ready`).then((r) => r.ok, () => false));
  const rules = async (text) => {
    writeFileSync(file('rules.yml'), text);
    const response = await fetch(`http://${address}/-/reload`, { method: 'POST' });
    if (!response.ok) throw new Error(`Prometheus refuses the rules: ${await response.text()}`);
  };
  return { name: 'Prometheus', pid: child.pid, address, headers: {}, rules, stop: ending(child, folder) };
}

const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** The objects of Nagios: one host that is not looked at, a service for each number. */
function objects(count, argv) {
  const common = 'check_period always\n max_check_attempts 3\n notifications_enabled 0\n contacts c\n notification_interval 0\n notification_period always\n';
  const service = (_, n) => `define service {\n host_name h\n service_description s${n}\n check_command tick!${n}\n check_interval 1\n retry_interval 1\n ${common}}\n`;
  return [
    `define timeperiod {\n timeperiod_name always\n alias always\n ${DAYS.map((day) => `${day} 00:00-24:00`).join('\n ')}\n}\n`,
    `define command {\n command_name tick\n command_line ${argv('$ARG1$').join(' ')}\n}\n`,
    'define command {\n command_name none\n command_line /bin/true\n}\n',
    'define contact {\n contact_name c\n host_notifications_enabled 0\n service_notifications_enabled 0\n service_notification_period always\n host_notification_period always\n service_notification_commands none\n host_notification_commands none\n}\n',
    `define host {\n host_name h\n address 127.0.0.1\n ${common}}\n`,
    ...Array.from({ length: count }, service),
  ].join('');
}

/** Each service every second, two workers, nothing kept over a restart. `argv` gives a check's command by its number. */
export function nagios(count, argv) {
  if (!program('Nagios', 'nagios4-core', NAGIOS)) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-nagios-'));
  const file = (name) => join(folder, name);
  writeFileSync(file('objects.cfg'), objects(count, argv));
  for (const name of ['results', 'rw']) mkdirSync(file(name));
  const config = {
    log_file: file('log'), cfg_file: file('objects.cfg'), object_cache_file: file('cache'), precached_object_file: file('precached'), status_file: file('status'),
    status_update_interval: 10, command_file: file('rw/cmd'), lock_file: file('lock'), temp_file: file('tmp'), temp_path: folder, check_result_path: file('results'),
    query_socket: file('rw/qh'), state_retention_file: file('retention'), retain_state_information: 0, interval_length: 1, check_workers: 2, nagios_user: 'nagios',
    nagios_group: 'nagios', enable_notifications: 0, log_initial_states: 0, use_syslog: 0, check_for_updates: 0, service_check_timeout: 10, max_concurrent_checks: 0,
  };
  writeFileSync(file('nagios.cfg'), Object.entries(config).map(([key, value]) => `${key}=${value}\n`).join(''));
  // Started by root it becomes the user nagios before it opens anything.
  if (process.getuid() === 0) {
    const id = (flag) => Number(spawnSync('id', [flag, 'nagios'], { encoding: 'utf8' }).stdout);
    for (const path of [folder, file('results'), file('rw')]) chownSync(path, id('-u'), id('-g'));
  }
  const child = spawn(NAGIOS, [file('nagios.cfg')], { stdio: 'ignore' });
  return { name: 'Nagios', pid: child.pid, stop: ending(child, folder) };
}

/** Each service every second; it writes performance data nowhere. */
export function icinga(count, argv) {
  if (!program('Icinga', 'icinga2-bin', ICINGA)) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-icinga-'));
  const words = argv('$number$').map((word) => JSON.stringify(word)).join(', ');
  const config = `
const MaxConcurrentChecks = 100000
object CheckerComponent "checker" { }
object CheckCommand "tick" {
  command = [ ${words} ]
}
object Host "h" {
  check_command = "tick"
  enable_active_checks = false
}
for (i in range(${count})) {
  object Service "s" + i use (i) {
    host_name = "h"
    check_command = "tick"
    check_interval = 1s
    retry_interval = 1s
    max_check_attempts = 3
    enable_notifications = false
    enable_flapping = false
    vars.number = string(i)
  }
}
`;
  writeFileSync(join(folder, 'icinga2.conf'), config);
  const folders = ['DataDir', 'CacheDir', 'LogDir', 'SpoolDir', 'InitRunDir'].map((name) => `-D${name}=${folder}`);
  const group = spawnSync('id', ['-gn'], { encoding: 'utf8' }).stdout.trim();
  const env = { ...process.env, ICINGA2_USER: userInfo().username, ICINGA2_GROUP: group };
  const child = spawn(ICINGA, ['daemon', '-c', join(folder, 'icinga2.conf'), ...folders], { stdio: 'ignore', env });
  return { name: 'Icinga', pid: child.pid, stop: ending(child, folder) };
}
