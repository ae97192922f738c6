/** Lines of a run log: who says one, and which of them are looked for. */
import type { LogLine } from "../../../api/types";
import { hasWords, searchWords } from "../../../lib/search";

export const STREAMS: { name: string; text: string }[] = [
  { name: "out", text: "output" },
  { name: "err", text: "errors" },
  { name: "tenfold", text: "tenfold itself" },
];
/** Instead of a host: what the server did, such as the build. */
export const SERVER = "-";

export interface LogFilter {
  host: string;
  stream: string;
  text: string;
}

export const speaker = (line: LogLine): string => line.host ?? (line.stream === "tenfold" ? "tenfold" : "build");

export const speakers = (lines: LogLine[]): string[] => [...new Set(lines.flatMap(({ host }) => (host ? [host] : [])))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));

/** All words have to stand in the line, without regard to case. */
export function filterLines(lines: LogLine[], { host, stream, text }: LogFilter): LogLine[] {
  const words = searchWords(text);
  if (!host && !stream && words.length === 0) return lines;
  return lines.filter((line) => {
    if (host && (host === SERVER ? line.host : line.host !== host)) return false;
    if (stream && line.stream !== stream) return false;
    return hasWords(line.text, words);
  });
}

/** As a file a person keeps: instant, who, text. */
export const asText = (lines: LogLine[]): string => lines.map((line) => `${line.at} ${speaker(line)} ${line.text}`).join("\n");
