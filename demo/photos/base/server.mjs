// photos: a small HTTP service. It lists photos, takes uploads, and tells how it is.
//
// Settings, all from the environment:
//   PORT, HOST     where it listens (8080, 127.0.0.1)
//   STATSD_ADDR    host:port that takes StatsD over UDP; without it nothing is sent
//   FLAGS_URL      an OFREP server; without it every flag is off
//   FLAGS_TOKEN    the token for it
import http from 'node:http';
import { readFileSync } from 'node:fs';

import { Flags } from './lib/flags.mjs';
import { Metrics } from './lib/metrics.mjs';
import { listPhotos } from './lib/photos.mjs';
import { StatsD } from './lib/statsd.mjs';
import { Uploads } from './lib/uploads.mjs';

const BODY_BYTES_MAX = 64 * 1024;
const SHUTDOWN_MS_MAX = 2_000;

const version = readVersion();
const settings = JSON.parse(readFileSync(new URL('settings.json', import.meta.url), 'utf8'));
const metrics = new Metrics(version);
const statsd = new StatsD(process.env.STATSD_ADDR);
const flags = new Flags(process.env.FLAGS_URL, process.env.FLAGS_TOKEN);
const uploads = new Uploads(flags, statsd, metrics);

/** What the build stamped; a checkout that was never built has no version. */
function readVersion() {
  try {
    return JSON.parse(readFileSync(new URL('version.json', import.meta.url), 'utf8'));
  } catch {
    return { sha: 'unbuilt', built_at: null };
  }
}

const routes = {
  'GET /': async () => ({ service: 'photos', greeting: settings.greeting, version: version.sha }),
  'GET /photos': async ({ user, query }) => listPhotos(user, Number(query.get('page') ?? 0), settings.page_size),
  'POST /upload': async ({ user, bytes }) => uploads.take(user, bytes),
  'GET /healthz': async () => ({ ok: true, version: version.sha, uptime_s: Math.round(process.uptime()) }),
};

async function answer(request, response) {
  const started = performance.now();
  const url = new URL(request.url, 'http://photos');
  const name = `${request.method} ${url.pathname}`;
  if (name === 'GET /metrics') {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
    response.end(metrics.text());
    return;
  }
  let status = 200;
  let body;
  try {
    const bytes = await readBody(request);
    const route = routes[name];
    if (!route) throw Object.assign(new Error(`nothing at ${name}`), { status: 404 });
    const user = url.searchParams.get('user') ?? request.headers['x-user'] ?? 'anonymous';
    body = await route({ user: String(user), query: url.searchParams, bytes });
  } catch (error) {
    status = error.status ?? 500;
    body = { error: error.message };
    if (status >= 500) console.error(`${name} failed: ${error.stack}`);
  }
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
  metrics.observe(request.method, routes[name] ? url.pathname : 'other', status, (performance.now() - started) / 1000);
}

async function readBody(request) {
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      throw Object.assign(new Error(`a photo has at most ${BODY_BYTES_MAX} bytes here`), { status: 413 });
    }
  }
  return bytes;
}

const server = http.createServer(answer);
server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '127.0.0.1', () => {
  const { address, port } = server.address();
  console.log(`photos ${version.sha.slice(0, 7)} listens on ${address}:${port}`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    console.log(`${signal}: finishing what is open`);
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), SHUTDOWN_MS_MAX).unref();
  });
}
