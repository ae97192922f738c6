// Counters and timers over UDP: sent and forgotten, so a lost packet costs nothing.
import dgram from 'node:dgram';

export class StatsD {
  #socket;
  #host;
  #port;

  constructor(address) {
    if (!address) return;
    const colon = address.lastIndexOf(':');
    this.#host = address.slice(0, colon);
    this.#port = Number(address.slice(colon + 1));
    this.#socket = dgram.createSocket('udp4');
    this.#socket.on('error', () => {});
    this.#socket.unref();
  }

  count(name, by = 1) {
    this.#send(`${name}:${by}|c`);
  }

  time(name, ms) {
    this.#send(`${name}:${ms.toFixed(1)}|ms`);
  }

  #send(line) {
    this.#socket?.send(line, this.#port, this.#host);
  }
}
