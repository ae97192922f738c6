/**
 * The part of Markdown that notes are written in: headings, lists, quotes, code, emphasis and links. HTML stands as it is written,
 * and a link leads to a web address or a path of this server, nowhere else.
 */

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong" | "em"; inside: Inline[] }
  | { kind: "link"; to: string; inside: Inline[] };

export type Block =
  | { kind: "heading"; level: number; inside: Inline[] }
  | { kind: "paragraph" | "quote"; inside: Inline[] }
  | { kind: "list"; ordered: boolean; items: Inline[][] }
  | { kind: "code"; text: string }
  | { kind: "line" };

const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const ITEM = /^\s*(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/;
const LINE = /^\s*(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;
const FENCE = /^\s*(```|~~~)/;

const INLINE = /`([^`]+)`|\[([^\]]+)\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)|\*\*([^*]+)\*\*|__([^_]+)__|\*([^*\s][^*]*)\*|(?<![\w])_([^_\s][^_]*)_(?![\w])|(https?:\/\/[^\s<>()]+[^\s<>().,;:!?])/g;

/** Where a link may lead; null for anything else. */
export function safeLink(to: string): string | null {
  if (/^https?:\/\//i.test(to) || /^mailto:[^\s]+$/i.test(to)) return to;
  return /^\/(?![/\\])/.test(to) || to.startsWith("#") ? to : null;
}

export function inline(text: string): Inline[] {
  const all: Inline[] = [];
  let from = 0;
  const plain = (until: number): void => {
    if (until > from) all.push({ kind: "text", text: text.slice(from, until) });
  };
  for (const found of text.matchAll(INLINE)) {
    const [whole, code, words, to, strong, strongToo, em, emToo, address] = found;
    plain(found.index);
    from = found.index + whole.length;
    const link = words !== undefined && to !== undefined ? safeLink(to) : null;
    const heavy = strong ?? strongToo;
    const light = em ?? emToo;
    if (code !== undefined) all.push({ kind: "code", text: code });
    else if (link !== null && words !== undefined) all.push({ kind: "link", to: link, inside: inline(words) });
    else if (heavy !== undefined) all.push({ kind: "strong", inside: inline(heavy) });
    else if (light !== undefined) all.push({ kind: "em", inside: inline(light) });
    else if (address !== undefined) all.push({ kind: "link", to: address, inside: [{ kind: "text", text: address }] });
    else all.push({ kind: "text", text: whole });
  }
  plain(text.length);
  return all;
}

export function blocks(text: string): Block[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const all: Block[] = [];
  let words: string[] = [];
  const close = (): void => {
    if (words.length > 0) all.push({ kind: "paragraph", inside: inline(words.join(" ")) });
    words = [];
  };
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const [, fence] = FENCE.exec(line) ?? [];
    const [, signs, heading] = HEADING.exec(line) ?? [];
    const [, , number, item] = ITEM.exec(line) ?? [];
    if (fence) {
      close();
      const code: string[] = [];
      for (at += 1; at < lines.length && !(lines[at] ?? "").trim().startsWith(fence); at += 1) code.push(lines[at] ?? "");
      all.push({ kind: "code", text: code.join("\n") });
    } else if (line.trim() === "") {
      close();
    } else if (signs !== undefined && heading !== undefined) {
      close();
      all.push({ kind: "heading", level: signs.length, inside: inline(heading) });
    } else if (LINE.test(line)) {
      close();
      all.push({ kind: "line" });
    } else if (item !== undefined) {
      const last = words.length === 0 ? all.at(-1) : undefined;
      close();
      const ordered = number !== undefined;
      if (last?.kind === "list" && last.ordered === ordered) last.items.push(inline(item));
      else all.push({ kind: "list", ordered, items: [inline(item)] });
    } else if (line.startsWith(">")) {
      close();
      all.push({ kind: "quote", inside: inline(line.replace(/^>+\s*/, "")) });
    } else {
      words.push(line.trim());
    }
  }
  close();
  return all;
}
