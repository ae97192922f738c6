// Taking a photo in: resizing it, by the code the flag new_uploader chooses. On a bad day resize_uploads is switched
// off, and photos are kept as they came.
const RESIZE_MS = 20;

/** The new resizer makes better pictures, one at a time, and each takes longer. */
const NEW_RESIZE_MS = 1_200;
const NEW_WAIT_MS_MAX = 1_500;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Uploads {
  #flags;
  #statsd;
  #metrics;
  #queueFreeAt = 0;

  constructor(flags, statsd, metrics) {
    this.#flags = flags;
    this.#statsd = statsd;
    this.#metrics = metrics;
  }

  async take(user, bytes) {
    const started = performance.now();
    const [isNew, resizes] = await Promise.all([this.#flags.isOn('new_uploader', user), this.#flags.isOn('resize_uploads', user)]);
    const path = isNew ? 'new' : 'old';
    this.#metrics.uploaded(path);
    if (resizes) await (path === 'new' ? this.#resizeNew() : sleep(RESIZE_MS * (0.5 + Math.random())));
    this.#statsd.count('photos.uploads');
    this.#statsd.time('photos.resize', performance.now() - started);
    return { user, bytes, uploader: path };
  }

  /** Waits for its turn; a queue that is too long refuses. */
  async #resizeNew() {
    const now = performance.now();
    const turn = Math.max(now, this.#queueFreeAt);
    if (turn - now > NEW_WAIT_MS_MAX) {
      throw Object.assign(new Error('the resizer is busy, try again'), { status: 503 });
    }
    this.#queueFreeAt = turn + NEW_RESIZE_MS;
    await sleep(this.#queueFreeAt - now);
  }
}
