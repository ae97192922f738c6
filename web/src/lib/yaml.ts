/** Plain data as YAML in blocks. A text that could be read as anything else stands in quotes, on one line. */

/** What readers of YAML, old and new, take for no text. */
const WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"]);
const PLAIN = /^[A-Za-z](?:[\w ./-]*[\w./-])?$/;
/** Signs that YAML wants escaped and JSON does not. */
const HIDDEN = /[\u007f-\u009f\u2028\u2029\ufeff]/g;

const text = (value: string): string =>
  PLAIN.test(value) && !WORDS.has(value.toLowerCase()) ? value : JSON.stringify(value).replace(HIDDEN, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** What an object says; null is the same as nothing said. */
const told = (value: object): [string, unknown][] => Object.entries(value).filter(([, one]) => one !== undefined && one !== null);

/** What stands on one line; null of what takes several. */
function inline(value: unknown): string | null {
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return value.length === 0 ? "[]" : null;
  if (typeof value === "object" && value !== null) return told(value).length === 0 ? "{}" : null;
  return value === undefined ? "null" : String(value);
}

function block(value: unknown, indent: string): string[] {
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown) => {
      const short = inline(item);
      if (short !== null) return [`${indent}- ${short}`];
      const [first = "", ...rest] = block(item, deeper);
      return [`${indent}- ${first.slice(deeper.length)}`, ...rest];
    });
  }
  return told(value as object).flatMap(([name, one]) => {
    const short = inline(one);
    return short === null ? [`${indent}${text(name)}:`, ...block(one, deeper)] : [`${indent}${text(name)}: ${short}`];
  });
}

export const toYaml = (value: object): string => `${inline(value) ?? block(value, "").join("\n")}\n`;
