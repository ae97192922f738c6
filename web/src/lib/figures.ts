/** A delivery figure in words, and the address of the rows it was counted from. */
import type { Figure } from "../api/types";
import { duration } from "./time";
import { count, format } from "./units";

const ROWS_MAX = 100;

export function figureText(figure: Figure | null | undefined): string {
  if (!figure || figure.value === null || figure.value === undefined) return "no data";
  const { value, unit } = figure;
  if (unit === "ms") return duration(value);
  if (unit === "ratio") return format(value, "ratio");
  if (unit === "percent" || unit === "%") return format(value, "percent");
  if (unit === "per_day") return `${value.toFixed(value < 10 ? 1 : 0)} a day`;
  return count(value);
}

/** The timeline with exactly the rows behind a figure. */
export function rowsAddress(name: string, figure: Figure): string {
  if (figure.events.length === 0) return "/timeline";
  return `/timeline?rows=${figure.events.slice(-ROWS_MAX).join(",")}&about=${encodeURIComponent(name)}`;
}
