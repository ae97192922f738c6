// What the benches measure with: processor time and peak memory of a process, as /proc tells them, the median, and programs in C.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const TICKS_A_SECOND = 100;

/** Processor seconds of a process since its start. */
export function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ').map(Number);
  return (fields[11] + fields[12]) / TICKS_A_SECOND;
}

/** The most memory that a process had since its start, or since `forgetPeak`, in MiB. */
export function peak(pid) {
  return Number(/VmHWM:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

/** What a start took is no part of the peak then: 5 resets VmHWM (proc(5)). */
export function forgetPeak(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Compiles a source beside this file. */
export function compile(source, program) {
  const { status, stderr, error } = spawnSync('cc', ['-O2', '-o', program, join(import.meta.dirname, source)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${source} cannot be compiled (Debian: gcc libc6-dev): ${error ?? stderr}`);
}
