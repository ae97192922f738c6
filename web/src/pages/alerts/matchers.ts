/** Matchers as a person types them: `service="photos", alertname=~"Upload.*"`. */
import type { Matcher } from "../../api/types";

const QUOTED = String.raw`"(?:[^"\\]|\\.)*"`;
/** A name that is no plain word stands in quotes; a value may stand without where it has neither comma nor space. */
const ONE = new RegExp(String.raw`\s*([a-zA-Z_]\w*|${QUOTED})\s*(=~|!~|!=|=)\s*(?:(${QUOTED})|([^,"\s]+))(?=[,\s]|$)[,\s]*`, "suy");

/** What stands in quotes, or a plain text as it is. */
const unquoted = (text: string): string =>
  text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/gsu, (_, one: string) => (one === "n" ? "\n" : one)) : text;

/** Commas or spaces stand between them, and braces may stand around. */
export function parseMatchers(text: string): Matcher[] | null {
  const trimmed = text.trim();
  const inner = (trimmed.startsWith("{") && trimmed.endsWith("}") ? trimmed.slice(1, -1) : trimmed).trim();
  const found: Matcher[] = [];
  for (let at = 0; at < inner.length; at = ONE.lastIndex) {
    ONE.lastIndex = at;
    const match = ONE.exec(inner);
    if (!match) return null;
    found.push({ name: unquoted(match[1]!), op: match[2] as Matcher["op"], value: match[3] === undefined ? match[4]! : unquoted(match[3]) });
  }
  return found.length === 0 ? null : found;
}

const PLAIN = /^[a-zA-Z_]\w*$/;
/** The server reads no more of them from one text. */
const READ_MAX = 20;

// A line's end would be lost in a field of one line.
const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;

export const showMatchers = (matchers: Matcher[]): string => matchers.map(({ name, op, value }) => `${PLAIN.test(name) ? name : quoted(name)}${op}${quoted(value)}`).join(", ");

/** Labels as the server is asked about them: by name where it could not read them from the text. */
export function labelsAsked(text: string): Record<string, string> | string {
  const matchers = parseMatchers(text) ?? [];
  const readable = matchers.length <= READ_MAX && matchers.every(({ name }) => PLAIN.test(name));
  return readable || matchers.some(({ op }) => op !== "=") ? text : Object.fromEntries(matchers.map(({ name, value }) => [name, value]));
}
