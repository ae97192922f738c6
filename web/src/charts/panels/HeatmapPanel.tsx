import { useEffect, useRef, useState, type ReactElement } from "react";
import { queryRange, span, type RangeResult } from "../../api/promql";
import type { Panel } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useTheme } from "../../lib/theme";
import { clock, clockWithSeconds } from "../../lib/time";
import { format } from "../../lib/units";
import { heatMost, heatRows, type HeatRow } from "../heat";
import { readInk } from "../options";
import type { Range } from "../range";
import { Frame } from "./NewestPanels";

const HEIGHT_PX = 150;
const LEFT_PX = 60;
const BOTTOM_PX = 26;

const boundText = (le: string, unit: string): string => (le === "+Inf" ? "∞" : format(Number(le), unit));

function draw(canvas: HTMLCanvasElement, times: number[], rows: HeatRow[], unit: string): void {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(HEIGHT_PX * scale);
  const pen = canvas.getContext("2d");
  if (!pen || rows.length === 0) return;
  pen.scale(scale, scale);
  const ink = readInk();
  const cell = { w: (width - LEFT_PX) / times.length, h: (HEIGHT_PX - BOTTOM_PX) / rows.length };
  const most = heatMost(rows) || 1;
  pen.fillStyle = ink.accent;
  rows.forEach(({ counts }, row) => {
    const top = HEIGHT_PX - BOTTOM_PX - (row + 1) * cell.h;
    counts.forEach((count, column) => {
      if (!count) return;
      // Roots, so that what is rare can still be seen.
      pen.globalAlpha = 0.12 + 0.88 * Math.sqrt(count / most);
      pen.fillRect(LEFT_PX + column * cell.w, top, Math.max(1, cell.w - 0.5), Math.max(1, cell.h - 0.5));
    });
  });
  pen.globalAlpha = 1;
  pen.fillStyle = ink.text;
  pen.font = ink.font;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const every = Math.max(1, Math.ceil(rows.length / 8));
  rows.forEach(({ le }, row) => {
    if (row % every === 0) pen.fillText(boundText(le, unit), LEFT_PX - 6, HEIGHT_PX - BOTTOM_PX - (row + 0.5) * cell.h);
  });
  pen.textAlign = "center";
  const labels = Math.max(2, Math.floor((width - LEFT_PX) / 90));
  for (let index = 0; index < labels; index += 1) {
    const column = Math.floor(((index + 0.5) / labels) * times.length);
    const time = times[column];
    if (time !== undefined) pen.fillText(clock(time * 1000), LEFT_PX + (column + 0.5) * cell.w, HEIGHT_PX - BOTTOM_PX / 2);
  }
}

function table(times: number[], rows: HeatRow[], unit: string): ReactElement {
  const last = times.length - 1;
  return (
    <table>
      <thead><tr><th scope="col">Up to</th><th scope="col" className="number">Newest</th><th scope="col" className="number">Over the range</th></tr></thead>
      <tbody>
        {[...rows].reverse().map(({ le, counts }) => (
          <tr key={le}>
            <td className="nowrap">{boundText(le, unit)}</td>
            <td className="number">{format(counts[last] ?? null, "short")}</td>
            <td className="number">{format(counts.reduce<number>((sum, count) => sum + (count ?? 0), 0), "short")}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Where the values of a histogram lay over time: the darker, the more. Queries give `_bucket` series by `le`. */
export function HeatmapPanel({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  const canvas = useRef<HTMLCanvasElement>(null);
  const head = useRef<HTMLSpanElement>(null);
  const theme = useTheme();
  const [asTable, setAsTable] = useState(false);
  const wanted = span(range.fromMs, range.toMs);
  const unit = panel.unit ?? "short";
  const query = useQuery<RangeResult[]>(
    `heat:${range.name ?? `${wanted.from}-${wanted.to}`}:${panel.queries.map(({ expr }) => expr).join("\n")}`,
    () => {
      const now = range.name ? span(Date.now() - (range.toMs - range.fromMs), Date.now()) : wanted;
      return Promise.all(panel.queries.map(({ expr }) => queryRange(expr, now)));
    },
    range.name ? { everyMs: Math.max(5_000, wanted.step * 1000) } : {},
  );
  const times = query.data?.[0]?.times ?? [];
  const rows = heatRows(query.data ?? []);

  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const now = (): void => draw(element, times, rows, unit);
    now();
    const resized = new ResizeObserver(now);
    resized.observe(element);
    return () => resized.disconnect();
  }, [query.data, theme, unit, asTable]);

  const follow = (event: { clientX: number; clientY: number } | null): void => {
    const element = canvas.current;
    if (!head.current || !element) return;
    const box = element.getBoundingClientRect();
    const column = event ? Math.floor(((event.clientX - box.left - LEFT_PX) / (box.width - LEFT_PX)) * times.length) : -1;
    const row = event ? Math.floor(((HEIGHT_PX - BOTTOM_PX - (event.clientY - box.top)) / (HEIGHT_PX - BOTTOM_PX)) * rows.length) : -1;
    const [time, at] = [times[column], rows[row]];
    head.current.textContent = time !== undefined && at ? `${clockWithSeconds(time * 1000)} · ≤ ${boundText(at.le, unit)}: ${format(at.counts[column] ?? null, "short")}` : "";
  };

  const note = query.error ? `${query.error.message} ${query.error.advice}` : query.loading ? "Loading…" : query.data?.some(({ series }) => series.length > 0) ? "These series have no label `le`." : "No data in this range.";
  return (
    <Frame
      panel={panel}
      end={
        <>
          <span className="now" ref={head} />
          <button type="button" className="button" aria-pressed={asTable} aria-label={`Show ${panel.title} as ${asTable ? "a graph" : "a table"}`} onClick={() => setAsTable(!asTable)}>{asTable ? "graph" : "table"}</button>
        </>
      }
    >
      {rows.length === 0 ? (
        <p className="muted">{note}</p>
      ) : asTable ? (
        <div className="chart-table" tabIndex={0} role="region" aria-label={`${panel.title} as a table`}>{table(times, rows, unit)}</div>
      ) : (
        <canvas ref={canvas} className="heat" role="img" aria-label={`${panel.title}, ${range.text}: ${rows.length} buckets, show it as a table for the numbers`} onMouseMove={follow} onMouseLeave={() => follow(null)} />
      )}
    </Frame>
  );
}
