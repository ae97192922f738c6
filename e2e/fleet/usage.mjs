// What a group of processes used of the processors: control groups, of the first version (cpuacct) or the second.
//
// A group outlives whoever made it, so it also tells which processes belong to a run that was killed.
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOTS = ['/sys/fs/cgroup/cpuacct', '/sys/fs/cgroup/cpu,cpuacct', '/sys/fs/cgroup'];

/** Where groups are made; nothing where this machine does not let us. */
export function groupRoot() {
  return ROOTS.find((root) => existsSync(join(root, 'cpuacct.usage')) || existsSync(join(root, 'cgroup.controllers')));
}

export class Group {
  constructor(name) {
    this.path = join(groupRoot(), name);
    mkdirSync(this.path, { recursive: true });
  }

  /** Words that start a command within the group. */
  within(...command) {
    return ['sh', '-c', 'echo $$ > "$1" && shift && exec "$@"', 'sh', join(this.path, 'cgroup.procs'), ...command];
  }

  seconds() {
    const first = join(this.path, 'cpuacct.usage');
    if (existsSync(first)) return Number(readFileSync(first, 'utf8')) / 1e9;
    return Number(/^usage_usec (\d+)/m.exec(readFileSync(join(this.path, 'cpu.stat'), 'utf8'))[1]) / 1e6;
  }

  pids() {
    return readFileSync(join(this.path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  }

  /** Ends whatever is in it, and the group itself. */
  async end(within_ms = 10_000) {
    for (const started = performance.now(); existsSync(this.path) && performance.now() - started < within_ms; ) {
      for (const pid of this.pids()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch (error) {
          if (error.code !== 'ESRCH') throw error;
        }
      }
      try {
        rmdirSync(this.path);
      } catch (error) {
        if (error.code !== 'EBUSY') throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    if (existsSync(this.path)) throw new Error(`${this.path} still has processes after ${within_ms / 1000} s`);
  }
}
