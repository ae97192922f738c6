import type { ReactElement } from "react";
import { explainRange, span } from "../../api/promql";
import { useQuery } from "../../api/useQuery";
import type { Range } from "../../charts/range";
import { format } from "../../lib/units";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

/** What the query cost, by node of its expression: asked once for each stretch of time, not refreshed. */
export function Explain({ expr, range }: { expr: string; range: Range }): ReactElement {
  const plan = useQuery(`explain:${expr}:${range.text}`, () => explainRange(expr, span(range.fromMs, range.toMs)));
  return (
    <Section title="What it cost">
      <Loaded query={plan}>
        {(told) => (
          <>
            <TableWrap>
              <table>
                <thead>
                  <tr>
                    <th scope="col">Node</th>
                    <th scope="col">Expression</th>
                    <th scope="col" className="number">Time</th>
                    <th scope="col" className="number">Series</th>
                    <th scope="col" className="number">Chunks</th>
                    <th scope="col" className="number">Samples</th>
                    <th scope="col" className="number">Rows</th>
                  </tr>
                </thead>
                <tbody>
                  {told.nodes.map((node, index) => (
                    <tr key={index}>
                      <td className="nowrap" style={{ paddingInlineStart: `${1 + node.depth}em` }}>{node.operation}</td>
                      <td className="mono wrap-any">{node.expression}</td>
                      <td className="number nowrap">{format(node.ms / 1000, "seconds")}</td>
                      <td className="number">{node.series || ""}</td>
                      <td className="number">{node.chunks || ""}</td>
                      <td className="number">{node.samples || ""}</td>
                      <td className="number">{node.rows || ""}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </TableWrap>
            <p className="muted">
              {format(told.elapsed_ms / 1000, "seconds")} {told.threads === 0 ? "in the cluster" : `on ${told.threads} ${told.threads === 1 ? "thread" : "threads"}`}, {format(told.queued_ms / 1000, "seconds")} waiting; {format(told.samples, "short")} samples of {format(told.series, "short")} series read, {format(told.held_bytes, "bytes")} held.
            </p>
          </>
        )}
      </Loaded>
    </Section>
  );
}
