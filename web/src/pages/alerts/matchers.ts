/** Matchers as a person types them: `service="photos", alertname=~"Upload.*"`. */
import type { Matcher } from "../../api/types";

const ONE = /^\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^,"\s]+))\s*$/;

export function parseMatchers(text: string): Matcher[] | null {
  const parts = text.replace(/^\s*\{|\}\s*$/g, "").split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/).filter((part) => part.trim() !== "");
  if (parts.length === 0) return null;
  const found: Matcher[] = [];
  for (const part of parts) {
    const match = ONE.exec(part);
    if (!match) return null;
    found.push({ name: match[1]!, op: match[2] as Matcher["op"], value: (match[3] ?? match[4] ?? "").replace(/\\(.)/g, "$1") });
  }
  return found;
}

export const showMatchers = (matchers: Matcher[]): string => matchers.map(({ name, op, value }) => `${name}${op}"${value.replace(/["\\]/g, "\\$&")}"`).join(", ");
