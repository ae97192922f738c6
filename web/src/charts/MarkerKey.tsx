import type { ReactElement } from "react";
import { KINDS } from "./markers";

/** What the marks on the graphs mean; those by queries only where there may be some. */
export function MarkerKey({ marks = false }: { marks?: boolean }): ReactElement {
  return (
    <ul className="marker-key" aria-label="Marks on the graphs">
      {Object.entries(KINDS).filter(([kind]) => marks || kind !== "mark").map(([kind, { sign, one, look }]) => <li key={kind}><span className={look && `look-${look}`}>{sign}</span> {one}</li>)}
    </ul>
  );
}
