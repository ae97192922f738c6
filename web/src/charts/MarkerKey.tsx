import type { ReactElement } from "react";
import { KINDS } from "./markers";

/** What the marks on the graphs mean. */
export function MarkerKey(): ReactElement {
  return (
    <ul className="marker-key" aria-label="Marks on the graphs">
      {Object.entries(KINDS).map(([kind, { sign, one, look }]) => <li key={kind}><span className={look && `look-${look}`}>{sign}</span> {one}</li>)}
    </ul>
  );
}
