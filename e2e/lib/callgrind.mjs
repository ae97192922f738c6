// Reads what valgrind's callgrind wrote, and puts the functions of a program in the order in which they should lie.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Calls of one pair in one run beyond so many say nothing more: an inner loop is not to outweigh all else. */
const CALLS_MAX = 1_000;
/** Bytes that callers and what they call may fill together. */
const CLUSTER_BYTES_MAX = 64 * 1_024;
/** The first of these shares of the runs that a function is part of is its place; the last are those of a single run. */
const SHARES = [1 / 2, 1 / 5];

/** Bytes of each function of a program, by its name as the linker knows it. */
export function sizes(program) {
  const { stdout, status, stderr } = spawnSync('nm', ['-S', '--defined-only', program], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`nm ${program}: ${stderr}`);
  const functions = [...stdout.matchAll(/^\S+ (\S+) [tTwW] (\S+)$/gm)];
  return new Map(functions.map(([, bytes, name]) => [name, Number.parseInt(bytes, 16)]));
}

/** How often functions and pairs of them were called, and in how many of the runs. */
export class Calls {
  #functions = new Map();
  #pairs = new Map();
  #runs = 0;
  #foremost = 0;

  /** Every file of a folder is a run of the program. What the runs of the first folder call is foremost. */
  constructor(folders) {
    for (const folder of folders) {
      for (const file of readdirSync(folder)) this.#read(readFileSync(join(folder, file), 'latin1'));
      if (this.#runs === 0) throw new Error(`${folder}: no run of the program was written down`);
      this.#foremost ||= this.#runs;
    }
  }

  #read(text) {
    this.#runs += 1;
    const names = new Map();
    // A name is written once, and then its number alone. A recursive call has its depth behind the name.
    const named = (said) => {
      const [, number, name] = /^\((\d+)\)(?: (.*))?$/.exec(said);
      if (name !== undefined) names.set(number, name.replace(/'\d+$/, ''));
      return this.#function(names.get(number));
    };
    let [caller, callee] = [];
    for (const line of text.split('\n')) {
      if (line.startsWith('fn=')) {
        caller = named(line.slice(3));
        caller.runs.add(this.#runs);
      } else if (line.startsWith('cfn=')) callee = named(line.slice(4));
      else if (line.startsWith('calls=')) {
        const count = Math.min(CALLS_MAX, Number.parseInt(line.slice(6), 10));
        callee.calls += count;
        const key = `${caller.name} ${callee.name}`;
        const pair = this.#pairs.get(key) ?? { caller, callee, calls: 0 };
        pair.calls += count;
        this.#pairs.set(key, pair);
      }
    }
  }

  #function(name) {
    if (!this.#functions.has(name)) this.#functions.set(name, { name, calls: 0, runs: new Set() });
    return this.#functions.get(name);
  }

  /**
   * Names in order, the foremost apart from the others: of these first what half of the runs need, then what a fifth does, then the
   * rest; within each callers beside what they call most, and what is called most in the fewest bytes first (call-chain clustering: Ottoni and Maher, "Optimizing function
   * placement for large-scale data-center applications", CGO 2017).
   */
  order(bytes) {
    const all = [...this.#functions.values()].filter(({ name }) => bytes.has(name));
    const clusters = new Map(all.map((f) => [f, { functions: [f], bytes: bytes.get(f.name), calls: f.calls }]));
    const foremost = new Map();
    for (const pair of this.#pairs.values()) {
      if (pair.caller === pair.callee || !clusters.has(pair.caller) || !clusters.has(pair.callee)) continue;
      if (!(foremost.get(pair.callee)?.calls >= pair.calls)) foremost.set(pair.callee, pair);
    }
    for (const callee of all.toSorted((a, b) => b.calls - a.calls)) {
      const [own, into] = [clusters.get(callee), clusters.get(foremost.get(callee)?.caller)];
      if (into === undefined || into === own || own.bytes + into.bytes > CLUSTER_BYTES_MAX) continue;
      into.functions.push(...own.functions);
      into.bytes += own.bytes;
      into.calls += own.calls;
      for (const moved of own.functions) clusters.set(moved, into);
    }
    const dense = [...new Set(clusters.values())].toSorted((a, b) => b.calls / b.bytes - a.calls / a.bytes);
    const isForemost = ({ runs }) => [...runs].some((run) => run <= this.#foremost);
    const place = ({ runs }) => {
      const share = SHARES.findIndex((least) => runs.size >= least * this.#runs);
      return share >= 0 ? share : SHARES.length + (runs.size > 1 ? 0 : 1);
    };
    const functions = dense.flatMap((cluster) => cluster.functions);
    const others = functions.filter((f) => !isForemost(f)).toSorted((a, b) => place(a) - place(b));
    return [functions.filter(isForemost), others].map((part) => part.map(({ name }) => name));
  }
}
