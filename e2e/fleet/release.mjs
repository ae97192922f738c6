// What is deployed: a repository with two commits of some 20 MB in 1,150 files, of which the second changes one in a hundred.
//
// The shape is that of a web application with its libraries: source texts, pictures that no longer compress, and one large
// program. The change is a few lines in eleven texts, and in the program 64 bytes more near its middle and 20 KB scattered.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { random } from './random.mjs';

const TEXTS = 1_117;
const TEXT_BYTES = 8_600;
const PICTURES = 30;
const PICTURE_BYTES = 90_000;
const PROGRAM = 'bin/engine';
const PROGRAM_BYTES = 8_000_000;
const CHANGED_TEXTS = 11;
const SCATTERED = 320;
const SCATTERED_BYTES = 64;
const INSERTED_BYTES = 64;

/** A service in perl-base, which every Debian has: it starts in milliseconds, so what is timed is the deploy. */
const SERVICE = `use strict; use IO::Socket::INET;
my $listen = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $ENV{PORT}, Listen => 16, ReuseAddr => 1) or die $@;
while (my $peer = $listen->accept) {
  while (defined(my $line = <$peer>)) { last if $line eq "\\r\\n"; }
  print $peer "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok";
  close $peer;
}
`;

const PIPELINE = `service: photos
artifact:
  exclude: [".tenfold/**"]
run:
  command: [perl, serve.pl]
  drain_s: 0
health: {http: /, within_s: 60}
targets:
  production:
    hosts: {role: web}
    approve: {count: 1, four_eyes: false}
    canary: {hosts: 0}
    batch: 100%
`;

/** Lines of words as programs have them: some words often, most seldom. */
function text(next, words, bytes) {
  const lines = [];
  for (let size = 0; size < bytes; ) {
    const line = Array.from({ length: 4 + Math.floor(next() * 8) }, () => words[Math.floor(words.length * next() ** 4)]).join(' ');
    lines.push(`${' '.repeat(2 * Math.floor(next() * 5))}${line}`);
    size += lines.at(-1).length + 1;
  }
  return `${lines.join('\n')}\n`;
}

function noise(next, bytes) {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) made[at] = next() * 256;
  return made;
}

/** Machine code repeats itself in short pieces: runs from a pool, with noise between. */
function program(next, bytes) {
  const pool = noise(next, 16_384);
  const made = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; ) {
    const length = Math.min(12 + Math.floor(next() * 52), bytes - at);
    if (next() < 0.12) noise(next, length).copy(made, at);
    else pool.copy(made, at, ...piece(next, pool.length, length));
    at += length;
  }
  return made;
}

function piece(next, within, length) {
  const from = Math.floor(next() ** 3 * (within - length));
  return [from, from + length];
}

function write(root, path, content) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

function git(root, ...args) {
  return execFileSync('git', ['-C', root, '-c', 'user.name=ana', '-c', 'user.email=ana@demo.example', ...args], { encoding: 'utf8' }).trim();
}

function textPath(number) {
  return `lib/part${number % 40}/module${number}.py`;
}

/** Makes the repository at its first commit. */
export function makeRepository(root, seed) {
  const next = random(seed);
  const words = Array.from({ length: 1_500 }, () => noise(next, 2 + Math.floor(next() * 4)).toString('hex').replace(/\d/g, (d) => 'ghijklmnop'[d]));
  for (let number = 0; number < TEXTS; number++) write(root, textPath(number), text(next, words, TEXT_BYTES * (0.2 + 1.6 * next())));
  for (let number = 0; number < PICTURES; number++) write(root, `static/picture${number}.jpg`, noise(next, PICTURE_BYTES * (0.5 + next())));
  write(root, PROGRAM, program(next, PROGRAM_BYTES));
  chmodSync(join(root, PROGRAM), 0o755);
  write(root, 'serve.pl', SERVICE);
  write(root, 'README', 'The release that is deployed.\n');
  write(root, '.tenfold/deploy.yaml', PIPELINE);
  git(root, 'init', '--quiet', '--initial-branch', 'main');
  git(root, 'add', '--all');
  git(root, 'commit', '--quiet', '-m', 'the first release');
}

/** The second commit. */
export function changeRepository(root, seed) {
  const next = random(seed + 1);
  for (let changed = 0; changed < CHANGED_TEXTS; changed++) {
    const path = join(root, textPath(Math.floor((TEXTS / CHANGED_TEXTS) * (changed + next()))));
    const lines = readFileSync(path, 'utf8').split('\n');
    for (let line = 0; line < 5; line++) lines[Math.floor(next() * (lines.length - 1))] = `changed = ${next()}`;
    writeFileSync(path, lines.join('\n'));
  }
  const before = readFileSync(join(root, PROGRAM));
  for (let change = 0; change < SCATTERED; change++) noise(next, SCATTERED_BYTES).copy(before, Math.floor(next() * (before.length - SCATTERED_BYTES)));
  const middle = Math.floor(before.length / 2);
  writeFileSync(join(root, PROGRAM), Buffer.concat([before.subarray(0, middle), noise(next, INSERTED_BYTES), before.subarray(middle)]));
  git(root, 'add', '--all');
  git(root, 'commit', '--quiet', '-m', 'the second release');
}
