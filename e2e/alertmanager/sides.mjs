// Both sides of a bench of alerts: this server with the routing of an Alertmanager, what sends to either, and what reads the
// requests that either posts.
import { request } from 'node:http';

import { Server } from '../clients/server.mjs';

/** A server of our own with this configuration, as a robot sends to it. */
export async function tenfold(config) {
  const server = await Server.start();
  const { secret } = await server.api.post('/api/tokens', { name: 'storm', kind: 'robot', role: 'deployer' });
  await server.api.put('/api/routing', { yaml: config });
  const headers = { authorization: `Bearer ${secret}` };
  return { name: 'tenfold', pid: server.child.pid, address: server.address, headers, stop: () => server.stop() };
}

/** Sends alerts, as JSON text, to either. */
export function post(server, agent, body) {
  const [hostname, port] = server.address.split(':');
  return new Promise((resolve, reject) => {
    const headers = { ...server.headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asked = request({ hostname, port, path: '/api/v2/alerts', method: 'POST', headers, agent }, (answer) => {
      answer.resume().on('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`${server.name}: ${answer.statusCode}`))));
    });
    asked.on('error', reject).end(body);
  });
}

/** Calls `heard` with the body of each request of a kept connection, with as little work as can be. */
export function eachRequest(socket, heard) {
  let waiting = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    waiting = waiting.length > 0 ? Buffer.concat([waiting, chunk]) : chunk;
    for (;;) {
      const end = waiting.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/content-length: *([0-9]+)/i.exec(waiting.toString('latin1', 0, end))?.[1] ?? 0);
      if (waiting.length < end + 4 + length) return;
      const body = waiting.toString('utf8', end + 4, end + 4 + length);
      waiting = waiting.subarray(end + 4 + length);
      heard(body);
    }
  });
}

/** An answer without a body. */
export const answer = (status, ...headers) => [`HTTP/1.1 ${status}`, ...headers, 'Content-Length: 0', '', ''].join('\r\n');
