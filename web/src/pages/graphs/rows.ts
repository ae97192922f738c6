/** Panels by the rows they stand in. */
import type { Panel } from "../../api/types";

export interface PanelRow {
  /** Null of panels that stand in none. */
  title: string | null;
  panels: Panel[];
}

/** Panels that follow each other and name the same row are one. */
export function panelRows(panels: Panel[]): PanelRow[] {
  const rows: PanelRow[] = [];
  for (const panel of panels) {
    const title = panel.row || null;
    const last = rows.at(-1);
    if (last && last.title === title) last.panels.push(panel);
    else rows.push({ title, panels: [panel] });
  }
  return rows;
}

/** What an address calls each panel: by its title, further ones of the same title by their number as well. */
export function addressNames(panels: Panel[]): string[] {
  const taken = new Set<string>();
  return panels.map(({ title }) => {
    let name = title;
    for (let n = 2; taken.has(name); n += 1) name = `${title} (${n})`;
    taken.add(name);
    return name;
  });
}

/** Those of the folded rows that still have a panel: others would be refused. */
export const stillFolded = (folded: string[] | undefined, panels: Panel[]): string[] => (folded ?? []).filter((row) => panels.some((panel) => panel.row === row));
