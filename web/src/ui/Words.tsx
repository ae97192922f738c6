import type { ReactElement } from "react";

/** A sentence of the server, in which what stands between backticks is a name or a value as it is written. */
export function Words({ children }: { children: string }): ReactElement {
  return <>{children.split("`").map((piece, index) => (index % 2 === 1 ? <code key={index} className="wrap-any">{piece}</code> : piece))}</>;
}
