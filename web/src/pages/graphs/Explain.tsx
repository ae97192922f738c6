import type { ReactElement } from "react";
import { explainRange, span, type PlanNode } from "../../api/promql";
import { useQuery } from "../../api/useQuery";
import type { Range } from "../../charts/range";
import { format } from "../../lib/units";
import { Status } from "../../ui/basics";
import { Loaded, Section } from "../../ui/Section";
import { TableWrap } from "../../ui/TableWrap";

/** Below this share no node stands out. */
const WORST_MIN = 0.2;

export interface Shared extends PlanNode {
  /** Of the time of all nodes, 0 to 1. */
  share: number;
  worst: boolean;
}

/** How much of the time each node took itself; what took most stands out, where there are several. */
export function sharesOf(nodes: PlanNode[]): Shared[] {
  const all = nodes.reduce((sum, { ms }) => sum + ms, 0);
  const most = Math.max(0, ...nodes.map(({ ms }) => ms));
  const worst = nodes.length > 1 && most > 0 && most / all >= WORST_MIN ? nodes.findIndex(({ ms }) => ms === most) : -1;
  return nodes.map((node, at) => ({ ...node, share: all > 0 ? node.ms / all : 0, worst: at === worst }));
}

/** What the query cost, by node of its expression: asked once for each stretch of time, not refreshed. */
export function Explain({ expr, range }: { expr: string; range: Range }): ReactElement {
  const plan = useQuery(`explain:${expr}:${range.text}:${range.step ?? ""}`, () => explainRange(expr, span(range.fromMs, range.toMs, range.step)));
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
                    <th scope="col" className="number">Share</th>
                    <th scope="col" className="number">Series</th>
                    <th scope="col" className="number">Chunks</th>
                    <th scope="col" className="number">Samples</th>
                    <th scope="col" className="number">Rows</th>
                  </tr>
                </thead>
                <tbody>
                  {sharesOf(told.nodes).map((node, index) => (
                    <tr key={index}>
                      <td className="nowrap" style={{ paddingInlineStart: `${1 + node.depth}em` }}>{node.operation}{node.worst && <> <Status look="warning">took most</Status></>}</td>
                      <td className="mono wrap-any">{node.expression}</td>
                      <td className="number nowrap">{format(node.ms / 1000, "seconds")}</td>
                      <td className="number nowrap">{format(node.share, "ratio")}</td>
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
