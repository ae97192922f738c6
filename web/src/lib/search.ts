/** Searching by words: each has to stand in what is searched, without regard to case. */

export const searchWords = (text: string): string[] => text.toLowerCase().split(/\s+/).filter(Boolean);

export function hasWords(where: string, words: string[]): boolean {
  const lower = where.toLowerCase();
  return words.every((word) => lower.includes(word));
}

/** Those that have all the words in what they are called; behind them those that have them with what else is said of them. */
export function foundBy<T>(items: T[], text: string, called: (item: T) => string, said: (item: T) => string): T[] {
  const words = searchWords(text);
  const first = items.filter((item) => hasWords(called(item), words));
  if (first.length === items.length) return first;
  const taken = new Set(first);
  return [...first, ...items.filter((item) => !taken.has(item) && hasWords(`${called(item)}\n${said(item)}`, words))];
}
