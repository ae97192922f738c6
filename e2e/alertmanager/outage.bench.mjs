// Receivers in trouble: this server and Debian's Alertmanager in one run and at the same time, with the same configuration.
// 200 alerts in 200 groups fire for each kind of trouble, at a receiver that is in it from before until SECONDS later. They are
// over half a group_interval after they were due to be told, which both servers are told, and then the receiver is well.
// Prints, for each server and kind, how many alerts its receiver has heard of in the end, firing or over; how many it never
// will; how many it was told twice in one state; and when, after it was well, it heard of the last one for the first time.
//
//   node e2e/alertmanager/outage.bench.mjs [SECONDS] [GROUP_INTERVAL_S] [ALERTS]     TENFOLD_BIN names the program
//
// group_wait and repeat_interval are Alertmanager's defaults. It tries for a group_interval, and does not again after what it
// tells for a client's mistake (429); then the alerts are over, and it never tells an end of what it did not tell the
// beginning of. Its default group_interval is 300: `outage.bench.mjs 420 300` takes a quarter of an hour and shows the same.
import { Agent } from 'node:http';
import { createServer as listen } from 'node:net';

import { alertmanager } from './rivals.mjs';
import { answer, eachRequest, post, tenfold } from './sides.mjs';

const [seconds = 90, interval = 30, alerts = 200] = process.argv.slice(2).map(Number);
const GROUP_WAIT_S = 30;
/** The longest wait between two tries, of either server, and what an answer may take. */
const BACKOFF_S = 60;
const ANSWER_S = 15;
const RETRY_AFTER_S = 5;
const BATCH = 100;
/** Below the ports that clients get: on a port of those, a client could meet itself while nobody listens. */
const PORTS = [20_000, 30_000];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What each kind of trouble does with a connection, and with each request on it. */
const TROUBLES = {
  429: { request: (socket) => socket.write(answer('429 Too Many Requests', `Retry-After: ${RETRY_AFTER_S}`)) },
  503: { request: (socket) => socket.write(answer('503 Service Unavailable')) },
  // Its connections are reset when it is well: it was started again.
  hanging: { request: () => {} },
  resetting: { headers: (socket) => socket.resetAndDestroy() },
  closed: {},
};

/** A receiver of webhooks that is in trouble until it is told that it is well. */
class Receiver {
  heard = new Map();
  twice = 0;
  tries = 0;
  #sockets = new Set();
  #taken = answer('200 OK');

  static async open(kind) {
    const receiver = new Receiver();
    receiver.trouble = TROUBLES[kind];
    receiver.server = listen((socket) => receiver.#connected(socket));
    while (receiver.port === undefined) await receiver.#listen(PORTS[0] + Math.floor(Math.random() * (PORTS[1] - PORTS[0])));
    if (kind === 'closed') await new Promise((resolve) => receiver.server.close(resolve));
    return receiver;
  }

  /** A port that somebody else has is not taken. */
  #listen(port) {
    return new Promise((resolve, reject) => {
      const failed = (error) => (error.code === 'EADDRINUSE' ? resolve() : reject(error));
      this.server.once('error', failed).listen(port, '127.0.0.1', () => {
        this.server.off('error', failed);
        this.port = this.server.address().port;
        resolve();
      });
    });
  }

  #connected(socket) {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.trouble?.headers) {
      socket.on('error', () => {});
      socket.once('data', () => {
        this.tries += 1;
        this.trouble?.headers(socket);
      });
      return;
    }
    eachRequest(socket, (body) => {
      this.tries += 1;
      if (this.trouble) this.trouble.request(socket);
      else {
        this.#hear(JSON.parse(body));
        socket.write(this.#taken);
      }
    });
  }

  #hear(message) {
    for (const { labels, status } of message.alerts) {
      const states = this.heard.get(labels.instance) ?? new Map();
      if (states.has(status)) this.twice += 1;
      else states.set(status, performance.now());
      this.heard.set(labels.instance, states);
    }
  }

  /** Connections from the trouble are of no use to it, but for those that were answered. */
  async well() {
    const { request, headers } = this.trouble;
    this.trouble = undefined;
    this.wellAt = performance.now();
    if (!this.server.listening) {
      const { port } = this;
      this.port = undefined;
      await this.#listen(port);
      if (this.port !== port) throw new Error(`somebody has taken the port ${port} meanwhile`);
    }
    if (headers || request === TROUBLES.hanging.request) for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  row() {
    const firsts = [...this.heard.values()].map((states) => Math.min(...states.values()));
    const last = firsts.length > 0 ? ((Math.max(...firsts) - this.wellAt) / 1_000).toFixed(1) : '-';
    return [this.heard.size, alerts - this.heard.size, this.twice, last, this.tries];
  }

  close() {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
  }
}

const config = (receivers) => `
route:
  receiver: 'receiver-${Object.keys(receivers)[0]}'
  group_by: [alertname, instance]
  group_wait: ${GROUP_WAIT_S}s
  group_interval: ${interval}s
  repeat_interval: 4h
  routes:
${Object.keys(receivers).map((kind) => `  - {receiver: 'receiver-${kind}', matchers: ['trouble="${kind}"']}`).join('\n')}
receivers:
${Object.entries(receivers).map(([kind, { port }]) => `- {name: 'receiver-${kind}', webhook_configs: [{url: 'http://127.0.0.1:${port}/'}]}`).join('\n')}
`;

/** One server with a receiver for each kind of trouble. */
async function side(start) {
  const kinds = Object.keys(TROUBLES);
  const receivers = Object.fromEntries(await Promise.all(kinds.map(async (kind) => [kind, await Receiver.open(kind)])));
  const server = await start(config(receivers));
  if (!server) {
    for (const receiver of Object.values(receivers)) receiver.close();
    return undefined;
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const say = async (times) => {
    const all = kinds.flatMap((trouble) => Array.from({ length: alerts }, (_, i) => ({
      labels: { alertname: 'Outage', trouble, instance: `i-${i}`, severity: 'warning' },
      annotations: { summary: 'something is wrong with this instance' },
      ...times,
    })));
    for (let first = 0; first < all.length; first += BATCH) await post(server, agent, JSON.stringify(all.slice(first, first + BATCH)));
  };
  const stop = async () => {
    agent.destroy();
    await server.stop();
    for (const receiver of Object.values(receivers)) receiver.close();
  };
  return { name: server.name, receivers, say, stop };
}

const over = GROUP_WAIT_S + Math.min(interval, seconds - GROUP_WAIT_S) / 2;
if (!(seconds - GROUP_WAIT_S >= 10 && interval >= 5 && alerts >= 1)) {
  console.error(`the trouble lasts ${GROUP_WAIT_S + 10} s at least (the first message is due after ${GROUP_WAIT_S}), a group_interval 5 s`);
  process.exit(2);
}
const sides = (await Promise.all([alertmanager, tenfold].map(side))).filter(Boolean);
let lost = 0;
try {
  const startsAt = new Date().toISOString();
  const began = performance.now();
  const at = (s) => pause(Math.max(0, began + s * 1_000 - performance.now()));
  await Promise.all(sides.map((one) => one.say({ startsAt })));
  await at(over);
  await Promise.all(sides.map((one) => one.say({ startsAt, endsAt: new Date().toISOString() })));
  await at(seconds);
  await Promise.all(sides.flatMap((one) => Object.values(one.receivers).map((receiver) => receiver.well())));
  // Whatever is still to be told has been tried by then, and its group looked at once more.
  await at(seconds + Math.max(interval, BACKOFF_S) + ANSWER_S + Math.min(interval, BACKOFF_S));
  console.log(`| ${alerts} alerts for each, ${seconds} s of trouble, over after ${over} s, group_interval ${interval} s | heard of | lost | twice | last heard of, s after well | tries |`);
  console.log('| --- | ---: | ---: | ---: | ---: | ---: |');
  for (const [kind] of Object.entries(TROUBLES)) {
    for (const { name, receivers } of sides) {
      const row = receivers[kind].row();
      console.log(`| ${kind}: ${name} | ${row.join(' | ')} |`);
      if (name === 'tenfold') lost += row[1];
    }
  }
} finally {
  await Promise.all(sides.map((one) => one.stop()));
}
process.exit(lost === 0 ? 0 : 1);
