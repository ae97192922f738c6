/** What somebody changed in a dashboard, in a few words. */
import type { Dashboard, Panel } from "../../api/types";

/** Panels by title; of those that share one, the second is another. */
function byTitle(panels: Panel[]): Map<string, string> {
  const all = new Map<string, string>();
  for (const panel of panels) {
    let name = panel.title;
    for (let at = 2; all.has(name); at += 1) name = `${panel.title} (${at})`;
    all.set(name, JSON.stringify(panel));
  }
  return all;
}

/** What else stands beside the panels. */
const BESIDE: ["marks" | "links" | "range" | "from" | "to" | "folded", string][] = [
  ["marks", "The marks by queries are changed"], ["links", "The links are changed"], ["range", "The range it opens with is changed"], ["from", "It begins at another instant"], ["to", "It ends at another instant"], ["folded", "Other rows are folded"],
];

export function differences(before: Dashboard, after: Dashboard): string[] {
  const [was, is] = [byTitle(before.panels), byTitle(after.panels)];
  const named = (what: string, names: string[]): string[] => (names.length > 0 ? [`${what}: ${names.join(", ")}`] : []);
  const kept = [...is.keys()].filter((name) => was.has(name));
  const moved = kept.join("\n") !== [...was.keys()].filter((name) => is.has(name)).join("\n");
  return [
    ...(before.title === after.title ? [] : [`The title is now ${after.title}`]),
    ...((before.service ?? "") === (after.service ?? "") ? [] : [`The service is now ${after.service ?? "none"}`]),
    ...(JSON.stringify(before.variables ?? []) === JSON.stringify(after.variables ?? []) ? [] : ["The variables are changed"]),
    ...BESIDE.flatMap(([name, words]) => (JSON.stringify(before[name] ?? null) === JSON.stringify(after[name] ?? null) ? [] : [words])),
    ...named("Added", [...is.keys()].filter((name) => !was.has(name))),
    ...named("Removed", [...was.keys()].filter((name) => !is.has(name))),
    ...named("Changed", kept.filter((name) => was.get(name) !== is.get(name))),
    ...(moved ? ["The order of the panels is changed"] : []),
  ];
}
