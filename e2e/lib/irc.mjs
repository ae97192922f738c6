// A plain IRC client: says lines, and remembers what was said and when.
import net from 'node:net';

import { until } from './wait.mjs';

export class Irc {
  /** Every line received, `{at, line}`. */
  lines = [];
  #socket;

  static async join(port, nick, channel) {
    const irc = new Irc();
    irc.#socket = net.connect(port, '127.0.0.1');
    irc.#socket.setEncoding('utf8');
    let buffered = '';
    irc.#socket.on('data', (chunk) => {
      buffered += chunk;
      const parts = buffered.split(/\r?\n/);
      buffered = parts.pop();
      for (const line of parts) irc.#take(line);
    });
    irc.#socket.on('error', () => {});
    irc.send(`NICK ${nick}`);
    irc.send(`USER ${nick} 0 * :${nick}`);
    await irc.sees(/ 001 /);
    irc.send(`JOIN ${channel}`);
    await irc.sees(/ 366 /);
    irc.channel = channel;
    return irc;
  }

  #take(line) {
    if (line.startsWith('PING')) this.send(line.replace('PING', 'PONG'));
    else this.lines.push({ at: Date.now(), line });
  }

  send(line) {
    this.#socket.write(`${line}\r\n`);
  }

  say(text) {
    this.send(`PRIVMSG ${this.channel} :${text}`);
  }

  tell(nick, text) {
    this.send(`PRIVMSG ${nick} :${text}`);
  }

  /** The first line that matches, from line number `since` on. */
  sees(pattern, { since = 0, within_ms = 20_000 } = {}) {
    return until(`IRC shows ${pattern}`, () => this.lines.slice(since).find(({ line }) => pattern.test(line)), { within_ms });
  }

  close() {
    this.#socket.destroy();
  }
}
