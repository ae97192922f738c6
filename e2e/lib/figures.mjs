// Measured seconds of the story: printed as they are taken, never asserted by themselves.
import { writeFileSync } from 'node:fs';

const taken = [];

/** Runs `work` and takes down how long it took. */
export async function measured(name, work) {
  const started = performance.now();
  const value = await work();
  figure(name, performance.now() - started);
  return value;
}

export function figure(name, ms) {
  taken.push({ name, ms: Math.round(ms) });
  console.log(`  measured: ${name}: ${(ms / 1000).toFixed(2)} s`);
}

/** Hands the figures to `npm run bench`, when that asked for them. */
export function handOver() {
  if (process.env.TENFOLD_FIGURES) writeFileSync(process.env.TENFOLD_FIGURES, JSON.stringify(taken));
}
