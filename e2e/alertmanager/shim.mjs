#!/usr/bin/env node
// Started by Alertmanager's acceptance suite in place of Alertmanager, with Alertmanager's flags. It takes one of the servers
// that run.mjs has started (the suite looks for its server every half second and counts its times from before), gives it
// the configuration file, and forwards to it, with the token of a robot (the suite has none) and without the route prefix.
// SIGHUP gives the file again, SIGTERM ends both.
import { readFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';

const flag = (name) => {
  const at = process.argv.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  if (at < 0) return '';
  return process.argv[at].includes('=') ? process.argv[at].split('=', 2)[1] : process.argv[at + 1];
};

const { SUITE_POOL, SUITE_TOKEN } = process.env;
const authorization = `Bearer ${SUITE_TOKEN}`;
const prefix = flag('web.route-prefix');
const [host, port] = flag('web.listen-address').split(':');
const agent = new Agent({ keepAlive: true });
const address = new URL(`http://${await (await fetch(`${SUITE_POOL}/take`)).text()}`);

async function configure() {
  const response = await fetch(new URL('/api/routing', address), {
    method: 'PUT',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ yaml: readFileSync(flag('config.file'), 'utf8') }),
  });
  if (!response.ok) throw new Error(await response.text());
}
await configure();
process.on('SIGHUP', () => void configure());
process.on('SIGTERM', async () => {
  await fetch(`${SUITE_POOL}/end?${address.host}`);
  process.exit(0);
});

const forwarder = createServer((from, answer) => {
  const path = from.url.startsWith(prefix) ? from.url.slice(prefix.length) || '/' : from.url;
  const headers = { ...from.headers, authorization, host: address.host };
  const to = request({ host: address.hostname, port: address.port, path, method: from.method, headers, agent }, (got) => {
    answer.writeHead(got.statusCode, got.headers);
    got.pipe(answer);
  });
  to.on('error', (error) => answer.writeHead(502).end(String(error)));
  from.pipe(to);
});
forwarder.listen(Number(port), host);
