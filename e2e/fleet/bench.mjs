// tenfold beside Debian's capistrano and ansible, on hosts in namespaces of their own: two releases, one percent apart.
//
//   node fleet/bench.mjs [--hosts 20,50] [--ways agents,ssh,capistrano,ansible] [--seed 1] [--disk]
//
// Prints a table as docs have it. A host whose tree is not the release's, path by path and byte by byte, fails the run.
import { existsSync, mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { Fleet, HOSTS_MAX, takeAwayLeftovers, takeAwayOwn, whyNot } from './hosts.mjs';
import { changeRepository, makeRepository } from './release.mjs';
import { Ansible, Capistrano } from './rivals.mjs';
import { ByAgents, BySsh } from './tenfold.mjs';
import { treeDigest } from './tree.mjs';

const WAYS = { agents: ByAgents, ssh: BySsh, capistrano: Capistrano, ansible: Ansible };

const { values: asked } = parseArgs({
  options: {
    hosts: { type: 'string', default: '20,50' },
    ways: { type: 'string', default: Object.keys(WAYS).join(',') },
    seed: { type: 'string', default: '1' },
    // what hosts hold is on the disk that they share, not in memory
    disk: { type: 'boolean', default: false },
  },
});

function misuse(text) {
  console.error(text);
  process.exit(2);
}

const counts = asked.hosts.split(',').map(Number);
if (!counts.every((count) => Number.isInteger(count) && count >= 1 && count <= HOSTS_MAX)) misuse(`--hosts takes numbers from 1 to ${HOSTS_MAX}`);
const ways = asked.ways.split(',');
if (!ways.every((way) => way in WAYS)) misuse(`--ways takes ${Object.keys(WAYS).join(', ')}`);
const seed = Number(asked.seed);
if (!Number.isInteger(seed)) misuse('--seed takes a whole number');
const reason = whyNot();
if (reason) {
  console.log(`skipped: ${reason}`);
  process.exit(0);
}

/** One deploy: how long, and what it took of both sides. */
async function measured(fleet, way) {
  const before = fleet.used();
  const started = performance.now();
  const parts = await way.deploy();
  const wall_ms = performance.now() - started;
  const after = fleet.used();
  const used = Object.fromEntries(Object.keys(before).map((key) => [key, after[key] - before[key]]));
  return { wall_ms, ...parts, ...used };
}

/** Every host's current release is the repository's tree. */
function compare(fleet, way, repository) {
  const wanted = treeDigest(repository);
  for (const host of fleet.hosts) {
    const link = fleet.seen(host, way.current);
    // a link may be from the root, as the host sees it, or from its own folder
    const target = readlinkSync(link);
    const root = target.startsWith('/') ? fleet.seen(host, target) : `${link.slice(0, link.lastIndexOf('/'))}/${target}`;
    const found = treeDigest(root);
    if (found.digest !== wanted.digest) throw new Error(`${host.name}: ${root} has ${found.files} files, ${found.bytes} bytes and another digest than the release`);
  }
  return wanted;
}

const seconds = (ms) => (ms === undefined ? '' : (ms / 1000).toFixed(ms < 10_000 ? 2 : 1));
const kilobytes = (bytes, hosts) => Math.round(bytes / hosts / 1000).toLocaleString('en');

function row(title, which, hosts, deploy) {
  const cells = [
    title, which, seconds(deploy.wall_ms), seconds(deploy.staged_ms), seconds(deploy.flip_ms), deploy.server.toFixed(1), deploy.hosts.toFixed(1),
    kilobytes(deploy.to, hosts), kilobytes(deploy.from, hosts),
  ];
  return `| ${cells.join(' | ')} |`;
}

const ended = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve(signal));
});

async function one(count, key) {
  const Way = WAYS[key];
  const fleet = await Fleet.start(count, { disk: asked.disk });
  try {
    const repository = fleet.path('repository');
    mkdirSync(repository);
    makeRepository(repository, seed);
    const way = new Way(fleet, repository);
    await way.start();
    const first = await measured(fleet, way);
    compare(fleet, way, repository);
    changeRepository(repository, seed);
    const second = await measured(fleet, way);
    const { files, bytes } = compare(fleet, way, repository);
    console.log(row(Way.title, 'first', count, first));
    console.log(row('', 'second', count, second));
    return { files, bytes };
  } catch (error) {
    const log = fleet.path('server.log');
    if (existsSync(log)) console.error(readFileSync(log, 'utf8').split('\n').slice(-20).join('\n'));
    throw error;
  } finally {
    await fleet.stop();
  }
}

async function all() {
  await takeAwayLeftovers();
  for (const count of counts) {
    console.log(`\n${count} hosts\n`);
    console.log('| | release | wall s | staged s | flip s | CPU s server | CPU s hosts | kB to a host | kB from it |');
    console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
    let shape;
    for (const key of ways) shape = await one(count, key);
    console.log(`\n${shape.files} files, ${shape.bytes.toLocaleString('en')} bytes, seed ${seed}, hosts ${asked.disk ? 'on one disk' : 'in memory'}; every host's tree was compared after each release.`);
  }
}

const signal = await Promise.race([all(), ended]);
if (signal) {
  await takeAwayOwn();
  process.exit(1);
}
