// Waiting for something to become true, without guessing how long it takes.

const POLL_MS = 50;

/** Calls `probe` until it answers something truthy, and returns that. */
export async function until(what, probe, { within_ms = 60_000, poll_ms = POLL_MS } = {}) {
  const started = performance.now();
  let last;
  for (;;) {
    try {
      const found = await probe();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() - started > within_ms) {
      const why = last ? `; the last try said: ${last.message}` : '';
      throw new Error(`${what}: not within ${within_ms / 1000} s${why}`);
    }
    await new Promise((resolve) => setTimeout(resolve, poll_ms));
  }
}
