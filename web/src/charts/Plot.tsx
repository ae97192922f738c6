import uPlot from "uplot";
import { useEffect, useRef, useState, type ReactElement } from "react";
import type { Marker } from "../api/types";
import { useTheme } from "../lib/theme";
import { MarkerTip } from "./MarkerTip";
import { drawBands, drawMarkers, marksAt } from "./markers";
import { chartOptions, readInk } from "./options";
import type { Line } from "./summary";

export interface PlotProps {
  times: number[];
  lines: Line[];
  unit: string;
  markers: Marker[];
  height: number;
  sync?: string | undefined;
  onZoom?: ((fromMs: number, toMs: number) => void) | undefined;
  /** The index under the cursor, null when it leaves. */
  onCursor?: ((index: number | null) => void) | undefined;
}

interface Tip {
  left: number;
  marks: Marker[];
}

/** The canvas. It is remade when the lines or the theme change; new points only replace the old. */
export function Plot({ times, lines, unit, markers, height, sync, onZoom, onCursor }: PlotProps): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ times, lines, markers, onZoom, onCursor });
  latest.current = { times, lines, markers, onZoom, onCursor };
  const theme = useTheme();
  const [tip, setTip] = useState<Tip | null>(null);
  const shape = lines.map((line) => line.label).join("\n");
  const zooms = Boolean(onZoom);

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const ink = readInk();
    const { times: xs, lines: ys } = latest.current;
    const options = chartOptions({
      lines: ys, unit, theme, ink, sync, height, plain: false,
      width: Math.max(80, element.clientWidth),
      onZoom: zooms ? (from, to) => latest.current.onZoom?.(from, to) : undefined,
      hooks: {
        drawClear: [(u) => drawBands(u, latest.current.markers, ink)],
        draw: [(u) => drawMarkers(u, latest.current.markers, ink)],
        setCursor: [(u) => latest.current.onCursor?.(u.cursor.idx ?? null)],
      },
    });
    const made = new uPlot(options, [xs, ...ys.map((line) => line.values)] as uPlot.AlignedData, element);
    plot.current = made;

    const move = (event: MouseEvent): void => {
      const left = event.clientX - made.over.getBoundingClientRect().left;
      const marks = marksAt(made, latest.current.markers, left);
      setTip(marks.length === 0 ? null : { left: left + made.over.offsetLeft, marks });
    };
    const leave = (): void => setTip(null);
    made.over.addEventListener("mousemove", move);
    made.over.addEventListener("mouseleave", leave);

    const resized = new ResizeObserver(() => {
      const width = Math.max(80, element.clientWidth);
      if (width !== made.width) made.setSize({ width, height });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, unit, theme, sync, height, zooms]);

  useEffect(() => {
    const made = plot.current;
    if (made && made.series.length === lines.length + 1) made.setData([times, ...lines.map((line) => line.values)] as uPlot.AlignedData);
  }, [times, lines]);

  useEffect(() => plot.current?.redraw(false), [markers]);

  return (
    <>
      <div ref={host} aria-hidden="true" />
      {tip && <MarkerTip left={tip.left} width={host.current?.clientWidth ?? 0} marks={tip.marks} />}
    </>
  );
}
