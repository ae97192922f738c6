import uPlot from "uplot";
import { useEffect, useRef, useState, type ReactElement } from "react";
import type { Marker } from "../api/types";
import { useTheme } from "../lib/theme";
import { useUtc } from "../lib/zone";
import type { Point } from "./exemplars";
import { ExemplarTip } from "./ExemplarTip";
import { MarkerTip } from "./MarkerTip";
import { drawBands, drawMarkers, marksAt } from "./markers";
import { readInk, type Ink, type Wanted } from "./options";
import { drawPoints, pointAt } from "./points";

export interface CanvasProps {
  /** The canvas is remade when this changes; new numbers alone only replace the old. */
  shape: string;
  data: uPlot.AlignedData;
  options: (made: Omit<Wanted, "lines" | "unit">) => uPlot.Options;
  unit: string;
  height: number;
  markers: Marker[];
  sync?: string | undefined;
  points?: Point[] | undefined;
  onPick?: ((point: Point) => void) | undefined;
  /** Fills the plot, below marks and lines. */
  under?: ((u: uPlot, ink: Ink) => void) | undefined;
  onZoom?: ((fromMs: number, toMs: number) => void) | undefined;
  /** The index under the cursor, null when it leaves. */
  onCursor?: ((index: number | null, u: uPlot) => void) | undefined;
}

type Tip = { left: number } & ({ marks: Marker[] } | { point: Point });

/** What every graph has: the record's marks and exemplars with their tips, a cursor, a width that follows the page's. */
export function Canvas(props: CanvasProps): ReactElement {
  const { shape, data, unit, height, markers, sync, points, onZoom } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const theme = useTheme();
  const utc = useUtc();
  const [tip, setTip] = useState<Tip | null>(null);
  const zooms = Boolean(onZoom);

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const ink = readInk();
    const made = new uPlot(latest.current.options({
      theme, ink, sync, height, width: Math.max(80, element.clientWidth),
      onZoom: zooms ? (from, to) => latest.current.onZoom?.(from, to) : undefined,
      hooks: {
        drawClear: [(u) => latest.current.under?.(u, ink), (u) => drawBands(u, latest.current.markers, ink, Boolean(latest.current.under))],
        draw: [(u) => drawMarkers(u, latest.current.markers, ink), (u) => drawPoints(u, latest.current.points ?? [], ink)],
        setCursor: [(u) => latest.current.onCursor?.(u.cursor.idx ?? null, u)],
      },
    }), latest.current.data, element);
    plot.current = made;

    const under = (event: MouseEvent): { left: number; point: Point | null } => {
      const box = made.over.getBoundingClientRect();
      const [left, top] = [event.clientX - box.left, event.clientY - box.top];
      return { left, point: pointAt(made, latest.current.points ?? [], left, top) };
    };
    const move = (event: MouseEvent): void => {
      const { left, point } = under(event);
      const marks = point ? [] : marksAt(made, latest.current.markers, left);
      made.over.classList.toggle("on-point", point !== null);
      setTip(point ? { left: left + made.over.offsetLeft, point } : marks.length > 0 ? { left: left + made.over.offsetLeft, marks } : null);
    };
    const leave = (): void => setTip(null);
    const press = (event: MouseEvent): void => {
      const { point } = under(event);
      if (point) latest.current.onPick?.(point);
    };
    made.over.addEventListener("mousemove", move);
    made.over.addEventListener("mouseleave", leave);
    made.over.addEventListener("click", press);

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
  }, [shape, theme, utc, sync, height, zooms]);

  useEffect(() => {
    const made = plot.current;
    if (made && made.series.length === data.length) made.setData(data);
  }, [data]);

  useEffect(() => plot.current?.redraw(false), [markers, points]);

  const width = host.current?.clientWidth ?? 0;
  return (
    <>
      <div ref={host} aria-hidden="true" />
      {tip && "marks" in tip && <MarkerTip left={tip.left} width={width} marks={tip.marks} />}
      {tip && "point" in tip && <ExemplarTip left={tip.left} width={width} exemplar={tip.point.exemplar} unit={unit} picks={Boolean(props.onPick)} />}
    </>
  );
}
