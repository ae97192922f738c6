// A thousand plugin checks, each looked at every second, by this server, Debian's Nagios and Debian's Icinga in one run, one
// after the other, with the same plugin. The plugin notes when it began, so that looks are counted and timed alike for all:
// how long after a second the next look at the same check came. Processor time is that of the server's processes and of the
// plugins they have waited for. This server keeps status, duration and value of each look as series; the others keep nothing.
//
//   node e2e/alertmanager/checks.bench.mjs [CHECKS] [SECONDS] [SERVERS] [PLUGIN_MS]     TENFOLD_BIN names the program
//
// SERVERS are some of nagios,icinga,tenfold. A plugin waits PLUGIN_MS (0), as most do that ask something over a network: with 200
// as many have to run at one time as 200 ms have looks. The first row is a bare loop of posix_spawn, read and wait: no server can do with less.
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Server } from '../clients/server.mjs';
import { until } from '../lib/wait.mjs';
import { compile, TICKS_A_SECOND } from './measures.mjs';
import { icinga, nagios } from './rivals.mjs';

const [count, seconds] = [process.argv[2] ?? 1_000, process.argv[3] ?? 30].map(Number);
const servers = (process.argv[4] ?? 'nagios,icinga,tenfold').split(',');
const plugin_ms = Number(process.argv[5] ?? 0);
const PLUGIN = 'tick';
const BARE_LOOPS = 2_000;
const WARM_MS = 15_000;
const READY_MS = 60_000;
/** A row of the plugin: its number and when it began, in nanoseconds. */
const ROW_BYTES = 16;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The plugin, and the file that it notes its times in; others than root may have to read and write them. */
function compiled() {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-checks-'));
  chmodSync(folder, 0o755);
  const [plugin, rows] = [join(folder, PLUGIN), join(folder, 'rows')];
  compile('tick.c', plugin);
  return { folder, plugin, rows };
}

/** Of a process and all below it: processor ticks, those of children it has waited for among them. */
function used(root) {
  const all = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ').map(Number);
      all.set(Number(pid), { parent: fields[1], ticks: fields.slice(11, 15).reduce((sum, n) => sum + n, 0) });
    } catch {
      // It has ended meanwhile.
    }
  }
  const below = (pid) => pid === root || (all.has(pid) && below(all.get(pid).parent));
  return new Map([...all].filter(([pid]) => below(pid)).map(([pid, { ticks }]) => [pid, ticks]));
}

/** Plugins come and go: who was there at both ends has waited for them. */
function between(before, after) {
  if (before.size === 0 || after.size === 0) throw new Error('the server has ended');
  return [...after].filter(([pid]) => before.has(pid)).reduce((sum, [pid, ticks]) => sum + ticks - before.get(pid), 0) / TICKS_A_SECOND;
}

/** Rows that were written from one size of the file to another: by check, the milliseconds at which it was looked at. */
function looks(file, from, to) {
  const bytes = Buffer.alloc(to - from);
  const opened = openSync(file, 'r');
  readSync(opened, bytes, 0, bytes.length, from);
  closeSync(opened);
  const out = new Map();
  for (let at = 0; at + ROW_BYTES <= bytes.length; at += ROW_BYTES) {
    const [number, ns] = [Number(bytes.readBigInt64LE(at)), bytes.readBigInt64LE(at + 8)];
    if (!out.has(number)) out.set(number, []);
    out.get(number).push(Number(ns / 1_000n) / 1_000);
  }
  return out;
}

/** By how much the next look at a check was later than a second after the one before. */
function late(times) {
  const all = [...times.values()].flatMap((of) => {
    const sorted = of.toSorted((a, b) => a - b);
    return sorted.slice(1).map((at, i) => Math.max(0, at - sorted[i] - 1_000));
  });
  all.sort((a, b) => a - b);
  const at = (share) => (all[Math.min(Math.floor(all.length * share), all.length - 1)] ?? Number.NaN).toFixed(0);
  return `${at(0.5)} / ${at(0.99)} / ${at(1)}`;
}

async function tenfold({ folder }) {
  const server = await Server.start(`[checks]\nplugin_dirs = ["${folder}"]\n`);
  const numbers = Array.from({ length: count }, (_, i) => i).values();
  const put = async () => {
    for (const n of numbers) {
      await server.api.put(`/api/checks/check-${n}`, { host: 'h', run: { plugin: argv(String(n)) }, interval: '1s' });
    }
  };
  await Promise.all(Array.from({ length: 8 }, put));
  const own = async () => {
    const { late_p50_ms, late_p99_ms, late_max_ms } = (await server.api.get('/api/checks')).scheduler;
    return `${late_p50_ms} / ${late_p99_ms} / ${late_max_ms}`;
  };
  return { name: 'tenfold', pid: server.child.pid, own, stop: () => server.stop() };
}

async function measure(start, made) {
  writeFileSync(made.rows, '');
  chmodSync(made.rows, 0o666);
  const server = await start(made);
  if (!server) return;
  try {
    await until(`${server.name} looks`, () => looks(made.rows, 0, statSync(made.rows).size).size === count, { within_ms: READY_MS, poll_ms: 1_000 });
    await pause(WARM_MS);
    const [began, from, before] = [performance.now(), statSync(made.rows).size, used(server.pid)];
    await pause(seconds * 1_000);
    const [after, to, took] = [used(server.pid), statSync(made.rows).size, (performance.now() - began) / 1_000];
    const done = (to - from) / ROW_BYTES;
    const cost = (between(before, after) * 1_000) / done;
    console.log(`| ${server.name} | ${(done / took).toFixed(0)} | ${cost.toFixed(3)} | ${late(looks(made.rows, from, to))} | ${(await server.own?.()) ?? '-'} |`);
  } finally {
    await server.stop();
  }
}

const made = compiled();
const argv = (number) => [made.plugin, made.rows, number, ...(plugin_ms > 0 ? [String(plugin_ms)] : [])];
const starts = { nagios: () => nagios(count, argv), icinga: () => icinga(count, argv), tenfold };
try {
  console.log(`| ${count} checks a second, ${seconds} s | looks/s | CPU ms a look | next look later than a second, ms: median / p99 / largest | the server's own lateness |\n| --- | ---: | ---: | ---: | ---: |`);
  writeFileSync(made.rows, '');
  const bare = spawnSync(made.plugin, ['loop', String(BARE_LOOPS), made.rows, '0'], { encoding: 'utf8' });
  console.log(`| a bare loop | - | ${bare.stdout.trim()} | - | - |`);
  for (const name of servers) {
    if (!starts[name]) throw new Error(`${name} is none of ${Object.keys(starts).join(', ')}`);
    await measure(starts[name], made);
  }
} finally {
  rmSync(made.folder, { recursive: true, force: true });
}
process.exit(0);
