/** Numbers as a file that spreadsheets read (RFC 4180). */

export type Cell = string | number | null | undefined;

/** A text that begins like a formula would be run as one. */
const FORMULA = /^[=+\-@\t\r]/;

function cell(value: Cell): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const toCsv = (rows: Cell[][]): string => rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");

export const isoTime = (seconds: number): string => new Date(seconds * 1000).toISOString();

/** Times down, lines across. */
export const linesCsv = (times: number[], lines: { label: string; values: (number | null)[] }[]): string =>
  toCsv([["time", ...lines.map(({ label }) => label)], ...times.map((time, at) => [isoTime(time), ...lines.map(({ values }) => values[at])])]);

/** Hands a file to the browser to save, under exactly this name. */
export function saveAs(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A file with a name after a title. */
export const saveFile = (blob: Blob, title: string, kind: "png" | "csv"): void => saveAs(blob, `${title.replace(/[^\w-]+/g, "-").slice(0, 60) || "graph"}.${kind}`);

export const saveCsv = (text: string, title: string): void => saveFile(new Blob([text], { type: "text/csv;charset=utf-8" }), title, "csv");
