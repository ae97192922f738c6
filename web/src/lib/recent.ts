/** What was asked lately, newest first, kept on this browser. */
const KEY = "tenfold.queries";
const KEPT_MAX = 50;
const LENGTH_MAX = 4_096;

/** With a question in front; one that was asked before moves there. */
export function withRecent(list: string[], question: string): string[] {
  const plain = question.trim();
  if (!plain || plain.length > LENGTH_MAX) return list;
  return [plain, ...list.filter((one) => one !== plain)].slice(0, KEPT_MAX);
}

export function recent(): string[] {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(read) ? read.filter((one): one is string => typeof one === "string").slice(0, KEPT_MAX) : [];
  } catch {
    return [];
  }
}

export function remember(questions: string[]): string[] {
  // The first of several is the newest.
  const list = [...questions].reverse().reduce(withRecent, recent());
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
  } catch {
    // A browser that keeps nothing has no history.
  }
  return list;
}
