// Stands between a client and a server, and breaks what is between them: silence without an error, as when a cable is
// out or a firewall drops packets.
import { connect, createServer } from 'node:net';

export class FaultProxy {
  static async start(target) {
    const proxy = new FaultProxy();
    const { hostname, port } = new URL(target);
    proxy.target = { host: hostname, port: Number(port) };
    proxy.pairs = new Set();
    proxy.silent = false;
    proxy.server = createServer({ allowHalfOpen: true }, (client) => proxy.#join(client));
    await new Promise((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  #join(client) {
    const pair = { client, server: connect({ ...this.target, allowHalfOpen: true }), lost: false };
    this.pairs.add(pair);
    for (const [from, to] of [[client, pair.server], [pair.server, client]]) {
      from.on('data', (bytes) => to.write(bytes));
      from.on('end', () => to.end());
      // An end that was announced during the silence is not heard either: it is kept until the pair is let go.
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.pairs.delete(pair);
      });
    }
    if (this.silent) this.#silence(pair);
  }

  #silence(pair) {
    pair.client.pause();
    pair.server.pause();
  }

  /** From now on nothing passes, in either direction, and nobody is told. */
  cut() {
    this.silent = true;
    for (const pair of this.pairs) this.#silence(pair);
  }

  /** What was held up passes, as after packets were lost for a while. */
  heal() {
    this.silent = false;
    for (const pair of this.pairs) {
      if (pair.lost) continue;
      pair.client.resume();
      pair.server.resume();
    }
  }

  /** New connections work; those from before stay silent for ever, as when a router forgot them. */
  healForNewOnly() {
    for (const pair of this.pairs) pair.lost = true;
    this.silent = false;
  }

  async stop() {
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
    await new Promise((resolve) => this.server.close(resolve));
  }
}
