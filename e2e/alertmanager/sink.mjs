// The receiver of the bench of storms, sink.c: compiled, started, heard.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { compile } from './measures.mjs';

const ANSWER_MS = 5_000;

/** The program, and the folder that it is in. */
export function compiled() {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-storm-'));
  const program = join(folder, 'sink');
  try {
    compile('sink.c', program);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return { folder, program };
}

export class Sink {
  #lines = new EventEmitter();

  /** For alerts whose instances are i-0, i-1 and so on. */
  static async start(program, alerts) {
    const sink = new Sink();
    sink.child = spawn(program, [String(alerts)], { stdio: ['pipe', 'pipe', 'inherit'] });
    sink.child.once('error', (error) => sink.#lines.emit('error', error));
    sink.child.once('exit', () => sink.closed || sink.#lines.emit('error', new Error('the receiver has ended')));
    createInterface({ input: sink.child.stdout }).on('line', (line) => {
      const [word, ...numbers] = line.split(' ');
      sink.#lines.emit(word, ...numbers.map(Number));
    });
    const [port] = await sink.#said('port', ANSWER_MS);
    return Object.assign(sink, { address: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/` });
  }

  #said(word, within_ms) {
    return once(this.#lines, word, { signal: AbortSignal.timeout(within_ms) });
  }

  /** When all have come, by the clock of process.hrtime, and what it took. To be called before the first of them is sent. */
  async all(within_ms) {
    const [messages, at_ns, cpu] = await this.#said('all', within_ms);
    return { messages, at_ns, cpu };
  }

  /** Ends it; how many of the alerts have come. */
  async ended() {
    const said = this.#said('seen', ANSWER_MS);
    this.close();
    return (await said)[0];
  }

  close() {
    this.closed = true;
    this.child.stdin.end();
  }
}
