/** From a row of the cardinality to the selector of its series. */

const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A string as PromQL reads it. */
const quoted = (text: string): string => JSON.stringify(text);

export const ofMetric = (name: string): string => `{__name__=${quoted(name)}}`;

/** `label=value`, as pairs are told; the value may hold further `=`. */
export function ofPair(pair: string): string {
  const at = pair.indexOf("=");
  const label = pair.slice(0, at);
  return `{${PLAIN.test(label) ? label : quoted(label)}=${quoted(pair.slice(at + 1))}}`;
}

/** The words for a shell. */
export const inShell = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
