// A client in a process of its own, asked line by line.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Lines {
  constructor(command, args) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.said = '';
    this.waiting = [];
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.said = (this.said + text).slice(-4_000)));
    this.child.stdin.on('error', () => {});
    createInterface({ input: this.child.stdout }).on('line', (line) => this.waiting.shift()?.resolve(line));
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
    this.ended.then((code) => {
      for (const { reject } of this.waiting.splice(0)) reject(new Error(`${command} ended with ${code}: ${this.said}`));
    });
  }

  ask(line) {
    return new Promise((resolve, reject) => {
      if (this.child.exitCode !== null) return reject(new Error(`it has ended: ${this.said}`));
      this.waiting.push({ resolve, reject });
      return this.child.stdin.write(`${line}\n`);
    });
  }

  async stop() {
    this.child.stdin.end();
    await this.ended;
  }
}
