/** A context as people paste it: JSON, or `userId=42 plan=pro`. The command line reads the same. */

export type Fields = Record<string, unknown>;

export class NotAContext extends Error {}

/** Words as a shell cuts them, quotes kept together; commas part them too. */
function words(text: string): string[] {
  const found: string[] = [];
  let word = "";
  let quote = "";
  for (const c of text) {
    if (quote) {
      if (c === quote) quote = "";
      else word += c;
    } else if (c === '"' || c === "'") quote = c;
    else if (/[\s,]/.test(c)) {
      if (word) found.push(word);
      word = "";
    } else word += c;
  }
  if (quote) throw new NotAContext("A quote is opened and never closed.");
  if (word) found.push(word);
  return found;
}

export function readContext(text: string): Fields {
  const trimmed = text.trim();
  if (trimmed.startsWith("{")) {
    try {
      return JSON.parse(trimmed) as Fields;
    } catch {
      throw new NotAContext("This is not JSON yet.");
    }
  }
  return Object.fromEntries(
    words(trimmed).map((word) => {
      const at = word.indexOf("=");
      if (at < 1) throw new NotAContext(`“${word}” is not a field: write it like userId=42, or as JSON.`);
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}

export const IDS_MAX = 1000;
/** Ids one a line, or parted by commas or blanks. */
export const readIds = (text: string): string[] => [...new Set(text.split(/[\s,]+/).filter(Boolean))];
/** Ids to try with: enough to show a share within a few per cent. */
export const someIds = (): string => Array.from({ length: IDS_MAX }, (_, index) => `user-${index + 1}`).join("\n");
