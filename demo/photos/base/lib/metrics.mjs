// What Prometheus scrapes, in its text format 0.0.4.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5];

export class Metrics {
  #version;
  #requests = new Map();
  #durations = new Map();
  #uploads = { old: 0, new: 0 };
  #delay = monitorEventLoopDelay({ resolution: 20 });

  constructor(version) {
    this.#version = version;
    this.#delay.enable();
  }

  observe(method, handler, code, seconds) {
    const request = `code="${code}",method="${method}",handler="${handler}"`;
    this.#requests.set(request, (this.#requests.get(request) ?? 0) + 1);
    const key = `method="${method}",handler="${handler}"`;
    let duration = this.#durations.get(key);
    if (!duration) {
      duration = { counts: BUCKETS_SECONDS.map(() => 0), count: 0, sum: 0 };
      this.#durations.set(key, duration);
    }
    BUCKETS_SECONDS.forEach((bound, index) => {
      if (seconds <= bound) duration.counts[index] += 1;
    });
    duration.count += 1;
    duration.sum += seconds;
  }

  uploaded(path) {
    this.#uploads[path] += 1;
  }

  text() {
    const lines = [];
    const metric = (name, type, help, samples) => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples);
    };
    metric('http_requests_total', 'counter', 'Requests answered.', [...this.#requests].map(([labels, n]) => `http_requests_total{${labels}} ${n}`));
    metric('http_request_duration_seconds', 'histogram', 'Time to answer.', this.#histograms('http_request_duration_seconds'));
    metric('photos_uploader_total', 'counter', 'Uploads by the code that took them.', Object.entries(this.#uploads).map(([path, n]) => `photos_uploader_total{path="${path}"} ${n}`));
    metric('photos_build_info', 'gauge', 'What runs here.', [`photos_build_info{sha="${this.#version.sha}"} 1`]);
    const { user, system } = process.cpuUsage();
    metric('process_cpu_seconds_total', 'counter', 'User and system time.', [`process_cpu_seconds_total ${(user + system) / 1e6}`]);
    metric('process_resident_memory_bytes', 'gauge', 'Memory held.', [`process_resident_memory_bytes ${process.memoryUsage.rss()}`]);
    metric('process_start_time_seconds', 'gauge', 'When it started.', [`process_start_time_seconds ${(performance.timeOrigin / 1000).toFixed(3)}`]);
    metric('nodejs_heap_size_used_bytes', 'gauge', 'Heap in use.', [`nodejs_heap_size_used_bytes ${process.memoryUsage().heapUsed}`]);
    metric('nodejs_eventloop_lag_p99_seconds', 'gauge', 'How late the event loop is.', [`nodejs_eventloop_lag_p99_seconds ${(this.#delay.percentile(99) / 1e9).toFixed(6)}`]);
    metric('nodejs_version_info', 'gauge', 'Node version.', [`nodejs_version_info{version="${process.version}"} 1`]);
    this.#delay.reset();
    return `${lines.join('\n')}\n`;
  }

  #histograms(name) {
    const lines = [];
    for (const [labels, { counts, count, sum }] of this.#durations) {
      BUCKETS_SECONDS.forEach((bound, index) => lines.push(`${name}_bucket{${labels},le="${bound}"} ${counts[index]}`));
      lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}`, `${name}_sum{${labels}} ${sum.toFixed(6)}`, `${name}_count{${labels}} ${count}`);
    }
    return lines;
  }
}
