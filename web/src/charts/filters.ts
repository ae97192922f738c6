/** Label matchers that every selector of a query gets: what is chosen once for a whole dashboard. */

/** Where the values of a page keep them: no variable has such a name. */
export const FILTERS = "$filters";

/** Words of PromQL that are no metric where they stand between others. */
const WORDS = new Set(["and", "or", "unless", "atan2", "bool", "offset", "inf", "nan", "anchored", "smoothed"]);
/** Those before a list of labels. */
const LISTS = new Set(["by", "without", "on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right"]);

const TOKEN = /#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|(?:0x[\da-f]+|\d[\w.]*|\.\d[\w.]*)|([A-Za-z_:][\w:]*)|\{|\[|\(|[^]/giy;
/** What may stand behind a word: space and comments. */
const SPACE = /(?:\s|#[^\n]*)*/y;

function behind(expr: string, from: number): number {
  SPACE.lastIndex = from;
  return from + (SPACE.exec(expr)?.[0].length ?? 0);
}

/** The place behind the sign that closes what is open at `from`; the end where nothing does. */
function closed(expr: string, from: number): number {
  let open = 0;
  TOKEN.lastIndex = from;
  for (;;) {
    const token = TOKEN.exec(expr)?.[0];
    if (token === undefined) return expr.length;
    const at = TOKEN.lastIndex;
    if ("{[(".includes(token)) open += 1;
    if ("}])".includes(token)) open -= 1;
    if (open === 0) return at;
    TOKEN.lastIndex = at;
  }
}

/** A selector's braces with the matchers in them: in front, since a comment may stand at the end. */
const joined = (braces: string, matchers: string): string => (braces.slice(1, -1).trim() === "" ? `{${matchers}}` : `{${matchers}, ${braces.slice(1)}`);

/** The query with other braces behind each of its selectors, `{}` where it has none; everything else stays as it is written. */
function withBraces(expr: string, changed: (braces: string) => string): string {
  let out = "";
  let at = 0;
  while (at < expr.length) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(expr);
    if (!found) return out + expr.slice(at);
    const [token, word] = found;
    const end = at + token.length;
    let copied = end;
    if (token === "{") {
      copied = closed(expr, at);
      out += changed(expr.slice(at, copied));
    } else if (token === "[") {
      copied = closed(expr, at);
      out += expr.slice(at, copied);
    } else if (word === undefined) {
      out += token;
    } else {
      const next = behind(expr, end);
      const small = word.toLowerCase();
      const calls = expr[next] === "(";
      // An aggregation may have its labels before what it takes: `sum by (job) (up)`.
      const aggregates = /^(?:by|without)\s*\(/i.test(expr.slice(next));
      if (LISTS.has(small) && calls) {
        copied = closed(expr, next);
        out += expr.slice(at, copied);
      } else if (calls || aggregates || WORDS.has(small) || LISTS.has(small)) {
        out += token;
      } else if (expr[next] === "{") {
        copied = closed(expr, next);
        out += expr.slice(at, next) + changed(expr.slice(next, copied));
      } else {
        out += token + changed("{}");
      }
    }
    at = copied;
  }
  return out;
}

/** The query with the matchers in each of its selectors. */
export function withMatchers(expr: string, all: string[]): string {
  const matchers = all.join(", ");
  return all.length === 0 ? expr : withBraces(expr, (braces) => joined(braces, matchers));
}

export const SIGNS = ["=", "!=", "=~", "!~"];

const quote = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;

/** Whether it stands in a matcher without quotes. */
export const isPlainLabel = (label: string): boolean => /^[A-Za-z_]\w*$/.test(label);

/** A matcher of a label and a value. */
export const matcherOf = (label: string, sign: string, value: string): string => `${isPlainLabel(label) ? label : quote(label)}${sign}${quote(value)}`;

const MATCHER = /^\s*(?:[A-Za-z_]\w*|"(?:[^"\\\n]|\\.)+")\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')\s*$/;

/** Whether it is one matcher: an address may say anything, and nothing else belongs into a query. */
export const isMatcher = (text: string): boolean => MATCHER.test(text);

/** Comments, and within braces each matcher: its label, its sign and its value as they are written. */
const WRITTEN = /#[^\n]*|([A-Za-z_]\w*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)/g;

/** Whether a text in quotes is this one: as it is written here, or without anything that is written otherwise. */
const says = (quoted: string, text: string): boolean => quoted === quote(text) || (quoted.slice(1, -1) === text && (quoted.startsWith("`") || !text.includes("\\")));

/** Whether the braces ask for exactly this already. */
const asksFor = (braces: string, label: string, value: string): boolean =>
  [...braces.matchAll(WRITTEN)].some(([, name = "", sign, quoted = ""]) => sign === "=" && (name === label || says(name, label)) && says(quoted, value));

/** The query with `label="value"` in each of its selectors that does not ask for it yet. */
export function withMatcher(expr: string, label: string, value: string): string {
  const matcher = matcherOf(label, "=", value);
  return withBraces(expr, (braces) => (asksFor(braces, label, value) ? braces : joined(braces, matcher)));
}
