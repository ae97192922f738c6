/** The store of samples: where the series are, and who sends them. */
const counted = (rows: [string, number, number][]): object[] => rows.map(([name, series, active]) => ({ name, series, active }));

export const CARDINALITY = {
  series: 842_311, series_max: 1_000_000, active_series: 611_204, labels: 48, label_pairs: 91_233,
  metrics: counted([["http_request_duration_seconds_bucket", 402_118, 300_410], ["http_requests_total", 120_340, 98_001], ["node_cpu_seconds_total", 12_800, 12_800]]),
  churn: counted([["http_request_duration_seconds_bucket", 402_118, 300_410], ["container_memory_working_set_bytes", 31_002, 2_204]]),
  labels_by_values: [{ label: "instance", values: 4_211, bytes: 9_120_331 }, { label: "path", values: 2_804, bytes: 30_211_904 }],
  labels_by_bytes: [{ label: "path", values: 2_804, bytes: 30_211_904 }],
  pairs_by_series: counted([["job=photos", 510_220, 400_118], ["environment=production", 800_101, 590_440]]),
};

const at = "2026-11-23T09:12:00Z";
export const SOURCES = [
  { protocol: "remote_write", name: "prometheus-eu", last_at: at, series: 120_004, series_max: 500_000, samples_per_second_max: 0, throttled: 0, exceeded: [], samples: 48_201_223, histograms: 0, exemplars: 120, refused: [] },
  { protocol: "otlp", name: "checkout", last_at: at, series: 500_000, series_max: 500_000, samples_per_second_max: 0, throttled: 0, exceeded: ["series"], samples: 9_120_331, histograms: 41_002, exemplars: 0, refused: [{ reason: "source_series", count: 81_203, example: "cart_items{session=\"8f2c91\"} would be a new series of `checkout`, which sent 500000 within the hour; at most 500000 are allowed", last_at: at }] },
];
