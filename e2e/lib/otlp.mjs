// Series for a page to draw, sent as OTLP in JSON: a value every so many seconds, up to now.

const nanos = (ms) => `${Math.round(ms)}000000`;
const attributes = (labels) => Object.entries(labels).map(([key, stringValue]) => ({ key, value: { stringValue } }));

/** Instants of the last `minutes`, oldest first, so far apart. */
export function instants(minutes, every_s = 10, now = Date.now()) {
  const count = Math.floor((minutes * 60) / every_s);
  return Array.from({ length: count }, (_, at) => now - (count - 1 - at) * every_s * 1000);
}

/** A gauge; `series` are labels and what they are at each instant. */
export const gauge = (name, times, series) => ({
  name,
  gauge: { dataPoints: series.flatMap(([labels, value]) => times.map((ms, at) => ({ timeUnixNano: nanos(ms), asDouble: value(at), attributes: attributes(labels) }))) },
});

const CUMULATIVE = 2;

/** Points of a histogram that observes, at each instant, as many values in each bucket as `seen` tells, with an exemplar in the highest. */
const observed = (times, buckets, seen, value) => {
  const counts = Array.from({ length: buckets }, () => 0);
  return times.map((ms, at) => {
    seen(at).forEach((count, bucket) => (counts[bucket] += count));
    const count = counts.reduce((sum, one) => sum + one, 0);
    const exemplar = { timeUnixNano: nanos(ms - 1), asDouble: value, traceId: at.toString(16).padStart(32, 'a'), filteredAttributes: attributes({ page: `https://traces.example.org/${at}` }) };
    return { startTimeUnixNano: nanos(times[0] - 1000), timeUnixNano: nanos(ms), count: String(count), sum: count * value, exemplars: [exemplar], counts: counts.map(String) };
  });
};

export const histogram = (name, times, bounds, seen, value) => ({
  name,
  unit: 's',
  histogram: {
    aggregationTemporality: CUMULATIVE,
    dataPoints: observed(times, bounds.length + 1, seen, value).map(({ counts, ...point }) => ({ ...point, explicitBounds: bounds, bucketCounts: counts })),
  },
});

/** A native histogram: two buckets for each power of two, the first above 2^(offset/2). */
export const exponential = (name, times, offset, buckets, seen, value) => ({
  name,
  unit: 's',
  exponentialHistogram: {
    aggregationTemporality: CUMULATIVE,
    dataPoints: observed(times, buckets, seen, value).map(({ counts, ...point }) => ({ ...point, scale: 1, zeroCount: '0', positive: { offset, bucketCounts: counts } })),
  },
});

/** Sends them as the service `name`; refused or left out, it fails. */
export async function send(api, name, metrics) {
  const answer = await api.post('/v1/metrics', { resourceMetrics: [{ resource: { attributes: attributes({ 'service.name': name }) }, scopeMetrics: [{ metrics }] }] });
  const { rejectedDataPoints = 0, errorMessage = '' } = answer.partialSuccess ?? {};
  if (Number(rejectedDataPoints) > 0) throw new Error(`${rejectedDataPoints} points were refused: ${errorMessage}`);
}
