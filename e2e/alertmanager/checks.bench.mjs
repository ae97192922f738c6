// A thousand plugin checks, each looked at every second, by this server and by Debian's Nagios in one run, one after the other.
// Prints checks a second, processor time of a check (the plugin's own among it) and how late looks began.
//
//   node e2e/alertmanager/checks.bench.mjs [CHECKS] [SECONDS]      TENFOLD_BIN names the program
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Server } from '../clients/server.mjs';
import { until } from '../lib/wait.mjs';

const [count = 1_000, seconds = 30] = process.argv.slice(2).map(Number);
const PLUGIN = '/usr/lib/nagios/plugins/check_dummy';
const NAGIOS = '/usr/sbin/nagios4';
const STATS = ['/usr/sbin/nagios4stats', '/usr/bin/nagios4stats', '/usr/bin/nagiostats'].find(existsSync);
const WARM_MS = 10_000;
const TICKS_A_SECOND = 100;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Processor seconds of processes and of all their children that have ended. */
function cpu(pids) {
  const one = (pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ').slice(11, 15).reduce((sum, n) => sum + Number(n), 0);
  return pids.reduce((sum, pid) => sum + one(pid), 0) / TICKS_A_SECOND;
}

function print(name, done, took, used, late) {
  console.log(`| ${name} | ${(done / took).toFixed(0)} | ${((used * 1000) / done).toFixed(2)} | ${late} |`);
}

async function ours() {
  const server = await Server.start();
  const names = Array.from({ length: count }, (_, i) => `check-${i}`).values();
  const put = async () => {
    for (const name of names) await server.api.put(`/api/checks/${name}`, { host: 'h', run: { plugin: ['check_dummy', '0', 'fine'] }, interval: '1s' });
  };
  await Promise.all(Array.from({ length: 8 }, put));
  await pause(WARM_MS);
  const began = performance.now();
  const used = cpu([server.child.pid]);
  const { done } = (await server.api.get('/api/checks')).scheduler;
  await pause(seconds * 1000);
  const after = (await server.api.get('/api/checks')).scheduler;
  const late = `${after.late_p50_ms} / ${after.late_p99_ms} / ${after.late_max_ms}`;
  print('tenfold', after.done - done, (performance.now() - began) / 1000, cpu([server.child.pid]) - used, late);
  await server.stop();
}

/** Each service every second, two workers, no files of states and no logs of checks. */
function nagios(folder) {
  const object = join(folder, 'objects.cfg');
  const common = 'check_period always\n max_check_attempts 3\n notifications_enabled 0\n contacts c\n notification_interval 0\n notification_period always\n';
  const services = Array.from({ length: count }, (_, i) => `define service {\n host_name h\n service_description s${i}\n check_command dummy\n check_interval 1\n retry_interval 1\n ${common}}\n`);
  writeFileSync(
    object,
    `define timeperiod {\n timeperiod_name always\n alias always\n ${['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'].map((day) => `${day} 00:00-24:00`).join('\n ')}\n}\n` +
      `define command {\n command_name dummy\n command_line ${PLUGIN} 0 fine\n}\ndefine command {\n command_name none\n command_line /bin/true\n}\n` +
      `define contact {\n contact_name c\n host_notifications_enabled 0\n service_notifications_enabled 0\n service_notification_period always\n host_notification_period always\n service_notification_commands none\n host_notification_commands none\n}\n` +
      `define host {\n host_name h\n address 127.0.0.1\n ${common}}\n${services.join('')}`,
  );
  for (const name of ['results', 'rw']) mkdirSync(join(folder, name));
  const file = (name) => join(folder, name);
  const config = {
    log_file: file('log'), cfg_file: object, object_cache_file: file('cache'), precached_object_file: file('precached'), status_file: file('status'),
    status_update_interval: 5, command_file: file('rw/cmd'), lock_file: file('lock'), temp_file: file('tmp'), temp_path: folder, check_result_path: file('results'),
    query_socket: file('rw/qh'), state_retention_file: file('retention'), retain_state_information: 0, interval_length: 1, check_workers: 2, nagios_user: 'nagios',
    nagios_group: 'nagios', enable_notifications: 0, log_initial_states: 0, use_syslog: 0, check_for_updates: 0, service_check_timeout: 10, max_concurrent_checks: 0,
  };
  writeFileSync(file('nagios.cfg'), Object.entries(config).map(([key, value]) => `${key}=${value}\n`).join(''));
  const id = (flag) => Number(spawnSync('id', [flag, 'nagios'], { encoding: 'utf8' }).stdout);
  for (const path of [folder, file('results'), file('rw')]) chownSync(path, id('-u'), id('-g'));
  return file('nagios.cfg');
}

/** The processes below this one, itself first. */
function family(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => family(Number(child)))];
}

async function theirs() {
  if (!existsSync(NAGIOS) || !STATS) {
    console.log('skipped: Nagios is not installed (Debian: nagios4-core)');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-nagios-'));
  const config = nagios(folder);
  const child = spawn(NAGIOS, [config], { stdio: 'ignore' });
  await until('Nagios runs', () => existsSync(join(folder, 'status')));
  await pause(WARM_MS);
  const stats = (...names) => spawnSync(STATS, ['-c', config, '-m', '-D', ' ', '-d', names.join(',')], { encoding: 'utf8' }).stdout.trim().split(/\s+/).map(Number);
  const pids = family(child.pid).slice(0, 3);
  const began = performance.now();
  const used = cpu(pids);
  await pause(Math.max(seconds, 60) * 1000);
  const took = (performance.now() - began) / 1000;
  const spent = cpu(pids) - used;
  const [inOneMinute, average, largest] = stats('NUMSACTSVCCHECKS1M', 'AVGACTSVCLAT', 'MAXACTSVCLAT');
  print('Nagios', (inOneMinute / 60) * took, took, spent, `${average} (mean) / - / ${largest}`);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
}

if (!existsSync(PLUGIN)) {
  console.log('skipped: check_dummy is not installed (Debian: monitoring-plugins-basic)');
  process.exit(0);
}
console.log(`| ${count} checks a second | checks/s | CPU ms a check | late ms: median / p99 / largest |\n| --- | ---: | ---: | ---: |`);
await theirs();
await ours();
process.exit(0);
