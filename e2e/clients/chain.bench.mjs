// Measures a kill switch: from the click to a stream of the server itself and, on the same flips, to one behind a relay
// and to one behind two. Usage: node chain.bench.mjs [FLIPS]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

import { TENFOLD } from '../lib/binary.mjs';
import { until } from '../lib/wait.mjs';
import { Server } from './server.mjs';

const FLIPS = Number(process.argv[2] ?? 200);

const server = await Server.start();
const relays = [];

async function relay(name, upstream) {
  const [tokens, address] = [join(server.folder, `${name}-tokens`), join(server.folder, `${name}-address`)];
  writeFileSync(tokens, await server.token(name, 'client'));
  const args = ['--upstream', upstream, '--token-file', tokens, '--data', join(server.folder, name), '--address-file', address];
  relays.push(spawn(TENFOLD, ['relay', '--listen', '127.0.0.1:0', '--drain-ms', '0', ...args], { stdio: 'ignore' }));
  await until(`relay ${name} listens`, () => existsSync(address));
  const url = `http://${readFileSync(address, 'utf8')}`;
  await until(`relay ${name} is ready`, async () => (await fetch(`${url}/readyz`)).ok);
  return url;
}

/** A client's stream; `until` gives the time at which the flag is as wanted. */
async function follow(url, authorization) {
  let [seen, look] = ['', () => {}];
  const request = get(`${url}/api/client/streaming`, { headers: { authorization } });
  const [response] = await once(request, 'response');
  response.setEncoding('utf8').on('data', (text) => {
    seen += text;
    look();
  });
  request.on('error', () => {});
  const has = (enabled) =>
    new Promise((resolve) => {
      look = () => {
        if (!new RegExp(`"name":"bench"[^\\n]*"enabled":${enabled}|"enabled":${enabled}[^\\n]*"name":"bench"`).test(seen)) return;
        [seen, look] = ['', () => {}];
        resolve(performance.now());
      };
      look();
    });
  return { has, end: () => request.destroy() };
}

try {
  const flag = (enabled) => server.api.put('/api/flags/bench', { environments: { production: { enabled } } });
  await flag(true);
  const near = await relay('near', server.url);
  const far = await relay('far', near);
  const token = await server.token('bench', 'client');
  const places = { 'the server itself': server.url, 'one relay': near, 'two relays': far };
  const streams = await Promise.all(Object.values(places).map((url) => follow(url, token)));
  await Promise.all(streams.map((stream) => stream.has(true)));
  const times = streams.map(() => []);
  for (let i = 0; i < 2 * FLIPS; i += 1) {
    const enabled = i % 2 === 1;
    const clicked = performance.now();
    const arrivals = streams.map((stream) => stream.has(enabled));
    await server.api.post('/api/flags/bench/switch', { environment: 'production', enabled });
    // Only kills are measured; the way back is the way to the next one.
    (await Promise.all(arrivals)).forEach((at, n) => enabled || times[n].push(at - clicked));
  }
  streams.forEach((stream) => stream.end());
  Object.keys(places).forEach((place, n) => {
    const sorted = times[n].sort((a, b) => a - b);
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
    console.log(`${place}: a kill is there after p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms (${FLIPS} kills)`);
  });
} finally {
  for (const process of relays) {
    const ended = once(process, 'exit');
    process.kill('SIGTERM');
    await ended;
  }
  await server.stop();
}
