import type { ReactElement } from "react";
import { Cardinality } from "./metrics/Cardinality";
import { Sources } from "./metrics/Sources";
import { Store } from "./metrics/Store";

export function MetricsSettings(): ReactElement {
  return (
    <>
      <Store />
      <Sources />
      <Cardinality />
    </>
  );
}
