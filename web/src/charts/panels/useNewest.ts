/** The newest value of every series of a panel's queries. */
import { legend, queryInstant } from "../../api/promql";
import type { PanelQuery } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import type { Range } from "../range";

export interface Newest {
  label: string;
  value: number | null;
}

export const ROWS_MAX = 200;

export function useNewest(queries: PanelQuery[], range: Range): ReturnType<typeof useQuery<Newest[]>> {
  const at = range.name ? undefined : range.toMs / 1000;
  const key = queries.map(({ expr, legend: name }) => `${expr}\t${name}`).join("\n");
  return useQuery(
    `newest:${at ?? "now"}:${key}`,
    async () => {
      const answers = await Promise.all(queries.map(({ expr }) => queryInstant(expr, at)));
      return answers.flatMap((samples, index) => samples.map(({ labels, value }) => ({ label: legend(queries[index]?.legend, labels), value })));
    },
    at === undefined ? { everyMs: 15_000 } : {},
  );
}
