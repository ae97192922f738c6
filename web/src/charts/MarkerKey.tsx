import type { ReactElement } from "react";

/** What the marks on the graphs mean. */
export function MarkerKey(): ReactElement {
  return (
    <ul className="marker-key" aria-label="Marks on the graphs">
      <li>▾ deploy</li>
      <li><span className="look-critical">×</span> rollback</li>
      <li>▒ canary</li>
      <li>⚑ flag flip</li>
      <li>○ note</li>
    </ul>
  );
}
