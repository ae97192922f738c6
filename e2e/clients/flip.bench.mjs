// Measures on a running server: from the click to the answer of a streaming SDK, and single evaluations over OFREP.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';

import { initialize } from 'unleash-client';

import { Server } from './server.mjs';

const FLIPS = 40;
const ASKERS = 16;
const ASK_MS = 3_000;

const server = await Server.start();
await server.api.put('/api/flags/bench', { environments: { production: { enabled: true } } });
await server.api.put('/api/flags/half', { environments: { production: { enabled: true, rollout_percent: 50 } } });
const token = await server.token('bench', 'client');

const unleash = initialize({
  url: `${server.url}/api/`,
  appName: 'bench',
  customHeaders: { Authorization: token },
  disableMetrics: true,
  skipInstanceCountWarning: true,
  experimentalMode: { type: 'streaming' },
  storageProvider: { get: async () => undefined, set: async () => {} },
});
await new Promise((resolve) => unleash.once('synchronized', resolve));
const flips = [];
for (let i = 0; i < FLIPS; i += 1) {
  const enabled = i % 2 === 1;
  const changed = new Promise((resolve) => {
    const look = () => (unleash.isEnabled('bench') === enabled ? resolve(performance.now()) : unleash.once('changed', look));
    unleash.once('changed', look);
  });
  const clicked = performance.now();
  const answered = server.api.post('/api/flags/bench/switch', { environment: 'production', enabled }).then(() => performance.now());
  flips.push({ client_ms: (await changed) - clicked, answer_ms: (await answered) - clicked, enabled });
}
unleash.destroy();

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}
for (const enabled of [false, true]) {
  const of = flips.filter((flip) => flip.enabled === enabled);
  const [client, answer] = [of.map((f) => f.client_ms), of.map((f) => f.answer_ms)];
  const worst = Math.max(...client).toFixed(1);
  console.log(`switch ${enabled ? 'on' : 'off'}: a streaming SDK has it after ${median(client).toFixed(1)} ms (worst ${worst}), the click is answered after ${median(answer).toFixed(1)} ms`);
}

const agent = new Agent({ keepAlive: true, maxSockets: ASKERS });
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
const { hostname, port } = new URL(server.url);
let asked = 0;
const times = [];
function ask(i) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const options = { hostname, port, agent, method: 'POST', path: '/ofrep/v1/evaluate/flags/half', headers };
    const sent = request(options, (response) => {
      response.resume().on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
        asked += 1;
        times.push(performance.now() - started);
        return resolve();
      });
    });
    sent.on('error', reject).end(JSON.stringify({ context: { targetingKey: String(i) } }));
  });
}
/** What the server has used of the processors so far; Linux counts in hundredths of a second. */
function cpuMs() {
  const fields = readFileSync(`/proc/${server.child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const cpuBefore = cpuMs();
const end = performance.now() + ASK_MS;
const began = performance.now();
await Promise.all(
  Array.from({ length: ASKERS }, async (_, n) => {
    for (let i = n; performance.now() < end; i += ASKERS) await ask(i);
  }),
);
const seconds = (performance.now() - began) / 1000;
times.sort((a, b) => a - b);
console.log(`OFREP single: ${Math.round(asked / seconds)} answers/s with ${ASKERS} connections, median ${median(times).toFixed(2)} ms, 99 % within ${times[Math.floor(times.length * 0.99)].toFixed(2)} ms, ${((cpuMs() - cpuBefore) / asked).toFixed(3)} ms of processor time each`);
agent.destroy();
await server.stop();
