/** What is told instead of a number. */
import type { PanelWord, Threshold } from "../api/types";
import { format } from "../lib/units";

/** The first word that fits a value, or what stands where there is none. */
export function wordOf(value: number | null, words: PanelWord[] = []): PanelWord | null {
  const fits = ({ value: one, from, to, nothing }: PanelWord): boolean => {
    if (value === null || nothing) return value === null && Boolean(nothing);
    return typeof one === "number" ? one === value : (from ?? -Infinity) <= value && value <= (to ?? Infinity);
  };
  return words.find(fits) ?? null;
}

export const told = (value: number | null, unit: string, words: PanelWord[] | undefined, decimals?: number): string => wordOf(value, words)?.text ?? format(value, unit, decimals);

const NUMBER = String.raw`-?\d+(?:\.\d+)?(?:e[+-]?\d+)?`;
const WRITTEN = new RegExp(String.raw`^(?:(nothing)|(${NUMBER})|(${NUMBER})?\.\.(${NUMBER})?)\s*=\s*(.*?)(?:\s*\((warning|critical)\))?$`, "i");

function readWord(part: string): PanelWord | null {
  const [, nothing, value, from, to, text, said] = WRITTEN.exec(part) ?? [];
  if (!text || (!nothing && value === undefined && from === undefined && to === undefined)) return null;
  const level: { level?: Threshold["level"] } = said ? { level: said.toLowerCase() === "critical" ? "critical" : "warning" } : {};
  if (nothing) return { nothing: true, text, ...level };
  if (value !== undefined) return { value: Number(value), text, ...level };
  return { ...(from === undefined ? {} : { from: Number(from) }), ...(to === undefined ? {} : { to: Number(to) }), text, ...level };
}

/** `0 = down (critical), 1 = up, 2..5 = some, nothing = N/A` as somebody types it; null when it is not written like that. */
export function readWords(text: string): PanelWord[] | null {
  const read = text.split(",").map((part) => part.trim()).filter(Boolean).map(readWord);
  const good = read.filter((one): one is PanelWord => one !== null);
  return good.length === read.length ? good : null;
}

export const writeWords = (words: PanelWord[] = []): string =>
  words.map(({ value, from, to, nothing, text, level }) => `${nothing ? "nothing" : (value ?? `${from ?? ""}..${to ?? ""}`)} = ${text}${level ? ` (${level})` : ""}`).join(", ");
