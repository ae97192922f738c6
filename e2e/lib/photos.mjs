// Commits of the photos service: the prepared ones, in order.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT } from './binary.mjs';

const CHANGES = join(ROOT, 'demo/photos/changes');

export class Photos {
  #next = 0;

  constructor(repository) {
    this.repository = repository;
    this.changes = readdirSync(CHANGES).sort();
  }

  /** Commits the next prepared change; returns its subject. */
  commitNext() {
    const path = join(CHANGES, this.changes[this.#next++]);
    const text = readFileSync(path, 'utf8');
    const author = /^From: (.*)$/m.exec(text)[1];
    const subject = /^Subject: (.*)$/m.exec(text)[1];
    this.#git('apply', '--index', path);
    this.#git('commit', '--quiet', '--author', `${author} <${author}@demo.example>`, '-m', subject);
    return subject;
  }

  /** Commits up to and with the change whose file name has this word. */
  commitUpTo(word) {
    const subjects = [];
    do subjects.push(this.commitNext());
    while (!this.changes[this.#next - 1].includes(word));
    return subjects;
  }

  head() {
    return this.#git('rev-parse', 'HEAD').trim();
  }

  #git(...args) {
    return execFileSync('git', ['-C', this.repository, ...args], { encoding: 'utf8' });
  }
}
