/** Where in a text the server's words point: a problem that the editor can mark. */

export interface Place {
  /** Places between characters, as the editor counts them; both are the same where something is missing. */
  from: number;
  to: number;
  message: string;
}

/** So many characters, as people count them, of a line, as the editor counts them. */
const unitsOf = (line: string, characters: number): number => [...line].slice(0, Math.max(0, characters)).join("").length;

/** Reads `1:5: message` over lines that end in a mark; null of words that point nowhere. */
export function placeOf(words: string, text: string): Place | null {
  const [first = "", ...rest] = words.split("\n");
  const [, line, column, message] = /^(\d+):(\d+): (.*)$/.exec(first) ?? [];
  if (line === undefined || column === undefined || message === undefined) return null;
  const lines = text.split("\n");
  const of = lines[Number(line) - 1];
  if (of === undefined) return null;
  const width = /\^+\s*$/.exec(rest.at(-1) ?? "")?.[0].trim().length ?? 1;
  const begin = lines.slice(0, Number(line) - 1).reduce((sum, one) => sum + one.length + 1, 0);
  return { from: begin + unitsOf(of, Number(column) - 1), to: begin + unitsOf(of, Number(column) - 1 + width), message };
}

/**
 * The same place in what somebody typed, of which another text was asked since variables are filled in: before the first
 * of them and behind the last it is exact, between them it is all that lies there.
 */
export function placedIn(typed: string, asked: string, { from, to, message }: Place): Place {
  const shorter = Math.min(typed.length, asked.length);
  let before = 0;
  while (before < shorter && typed[before] === asked[before]) before += 1;
  let behind = 0;
  while (behind < shorter - before && typed.at(-1 - behind) === asked.at(-1 - behind)) behind += 1;
  const [changed, shift] = [asked.length - behind, typed.length - asked.length];
  const move = (at: number, within: number): number => (at <= before ? at : at >= changed ? at + shift : within);
  return { from: move(from, before), to: move(to, typed.length - behind), message };
}
