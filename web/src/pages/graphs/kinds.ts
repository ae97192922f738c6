/** How a panel can be drawn. */
import type { PanelKind } from "../../api/types";

export const KINDS: [PanelKind, string][] = [["graph", "lines over time"], ["stat", "one value"], ["top", "bars, largest first"], ["table", "table"], ["heatmap", "heatmap of a histogram"], ["text", "words (Markdown)"]];

/** Those that can draw exemplars. */
export const EXEMPLARS: ReadonlySet<PanelKind> = new Set<PanelKind>(["graph", "heatmap"]);
