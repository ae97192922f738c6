/** The one value that a series has in a panel. */
import type { PanelReduce } from "../api/types";
import { lastValue, spreadOf } from "./summary";

/** What each is called where somebody chooses. */
export const REDUCES: [PanelReduce, string][] = [
  ["last", "newest"], ["min", "lowest"], ["max", "highest"], ["mean", "mean"], ["sum", "sum"], ["count", "number of values"], ["range", "highest less lowest"],
];

/** Of the values that are there; null when none is. */
export function reduced(values: (number | null)[], how: PanelReduce = "last"): number | null {
  const spread = spreadOf(values);
  if (!spread) return null;
  const known = values.filter((value) => value !== null);
  switch (how) {
    case "min":
      return spread.low;
    case "max":
      return spread.high;
    case "mean":
      return spread.mean;
    case "sum":
      return known.reduce((sum, value) => sum + value, 0);
    case "count":
      return known.length;
    case "range":
      return spread.high - spread.low;
    default:
      return lastValue(values);
  }
}
