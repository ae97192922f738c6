/** Which of a graph's series are an alert's: its expression answers for all hosts, and an alert is of one. */

type Labels = Record<string, unknown>;

/** Every label of the series is the alert's, which has further ones of its rule. */
const isOwn = (series: Labels, alert: Labels): boolean =>
  Object.entries(series).every(([name, value]) => name === "__name__" || alert[name] === value);

/** No label that both have differs: what an alert says of itself may be less than its series say. */
const mayBeOwn = (series: Labels, alert: Labels): boolean =>
  Object.entries(series).every(([name, value]) => name === "__name__" || !(name in alert) || alert[name] === value);

/** The series of an alert; all where none fits, as where a rule sets a label anew. */
export function ownSeries<T extends { labels: Labels }>(series: T[], alert: Labels): T[] {
  const own = series.filter(({ labels }) => isOwn(labels, alert));
  if (own.length > 0) return own;
  const perhaps = series.filter(({ labels }) => mayBeOwn(labels, alert));
  return perhaps.length > 0 ? perhaps : series;
}
