/** The store of samples: where the series are, and who sends them. */
const counted = (rows: [string, number, number][]): object[] => rows.map(([name, series, active]) => ({ name, series, active }));

export const CARDINALITY = {
  series: 842_311, series_max: 1_000_000, active_series: 611_204, labels: 48, label_pairs: 91_233,
  metrics: counted([["http_request_duration_seconds_bucket", 402_118, 300_410], ["http_requests_total", 120_340, 98_001], ["node_cpu_seconds_total", 12_800, 12_800]]),
  churn: counted([["http_request_duration_seconds_bucket", 402_118, 300_410], ["container_memory_working_set_bytes", 31_002, 2_204]]),
  labels_by_values: [{ label: "instance", values: 4_211, bytes: 9_120_331 }, { label: "path", values: 2_804, bytes: 30_211_904 }],
  labels_by_bytes: [{ label: "path", values: 2_804, bytes: 30_211_904 }],
  created_last_hour: 3_412, created: [{ name: "container_memory_working_set_bytes", series: 31_002, active: 2_204, created_last_hour: 2_907 }, { name: "cart_items", series: 505, active: 505, created_last_hour: 505 }],
  pairs_by_series: counted([["job=photos", 510_220, 400_118], ["environment=production", 800_101, 590_440]]),
};

const at = "2026-11-23T09:12:00Z";
export const SOURCES = [
  { protocol: "remote_write", name: "prometheus-eu", last_at: at, series: 120_004, series_max: 500_000, samples_per_second_max: 0, own_limits: false, throttled: 0, exceeded: [], samples: 48_201_223, histograms: 0, exemplars: 120, refused: [] },
  { protocol: "otlp", name: "checkout", last_at: at, series: 500_000, series_max: 500_000, samples_per_second_max: 0, own_limits: true, throttled: 0, exceeded: [{ limit: "series", last_at: at, count: 81_203, example: "cart_items{session=\"8f2c91\"} would be a new series of `checkout`, which sent 500000 within the hour; at most 500000 are allowed" }], samples: 9_120_331, histograms: 41_002, exemplars: 0, refused: [{ reason: "source_series", count: 81_203, example: "cart_items{session=\"8f2c91\"} would be a new series of `checkout`, which sent 500000 within the hour; at most 500000 are allowed", last_at: at }] },
];
export const JOBS = [{ job: "node", exceeded: [{ limit: "sample_limit", last_at: at, count: 14, example: "db2:9100: sample_limit exceeded (number of samples: 10412, limit: 10000)" }] }];

export const STORE = {
  trouble: null, blocks: 41, block_bytes: 8_214_991_002, coarse_bytes: 301_220_114, log_bytes: 48_201_223, oldest_at: "2026-11-08T10:00:00Z", newest_at: at, retention_days: 15, retention_bytes_max: 53_687_091_200, out_of_order_ms: 1_800_000,
  quarantined: [{ name: "00000000000000000117.blk", path: "/var/lib/tenfold/metrics/quarantine/00000000000000000117.blk", bytes: 201_338_224, moved_at: at }], quarantined_count: 1,
  quarantine_advice: "Look for errors of the disk (smartctl, dmesg): such damage mostly does not come alone. What could be read of a block was kept; the rest comes back only from a snapshot or a backup of the metrics directory. Remove the files listed here when they are no longer needed.",
};
export const DELETION = { series: 402_118, examples: ["http_request_duration_seconds_bucket{instance=\"photos-1:8080\",job=\"photos\",le=\"0.05\",path=\"/\"}", "http_request_duration_seconds_bucket{instance=\"photos-1:8080\",job=\"photos\",le=\"0.1\",path=\"/\"}"], dry_run: true };
