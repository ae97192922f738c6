/** The record drawn onto a graph: ▾ dashed for a deploy, × for a rollback, a band for a canary, ⚑ for a flip, a ring for a note. */
import type uPlot from "uplot";
import type { Marker } from "../api/types";

export interface MarkerColours {
  deploy: string;
  rollback: string;
  band: string;
  flip: string;
}

/** With more marks than this in view only their heads are drawn, so that the lines below stay readable. */
const LINES_MAX = 24;
const HEAD_PX = 4;
const NEAR_PX = 7;
const BAND_ALPHA = 0.14;
/** A canary that still runs reaches to the right edge. */
const seconds = (instant: string): number => Date.parse(instant) / 1000;

export function drawBands(u: uPlot, markers: Marker[], colours: MarkerColours): void {
  const { ctx, bbox } = u;
  for (const marker of markers) {
    if (marker.kind !== "canary") continue;
    const left = Math.max(bbox.left, u.valToPos(seconds(marker.at), "x", true));
    const end = marker.end_at ? u.valToPos(seconds(marker.end_at), "x", true) : bbox.left + bbox.width;
    const right = Math.min(bbox.left + bbox.width, end);
    if (right <= left) continue;
    ctx.save();
    ctx.globalAlpha = BAND_ALPHA;
    ctx.fillStyle = colours.band;
    ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
    ctx.restore();
  }
}

function head(ctx: CanvasRenderingContext2D, kind: Marker["kind"], x: number, y: number, ratio: number): void {
  const size = HEAD_PX * ratio;
  ctx.beginPath();
  if (kind === "deploy") {
    ctx.moveTo(x - size, y - 2 * size);
    ctx.lineTo(x + size, y - 2 * size);
    ctx.lineTo(x, y - size * 0.4);
    ctx.closePath();
    ctx.fill();
  } else if (kind === "rollback") {
    const [top, bottom, arm] = [y - 2.2 * size, y - 0.6 * size, size * 0.8];
    ctx.moveTo(x - arm, top);
    ctx.lineTo(x + arm, bottom);
    ctx.moveTo(x + arm, top);
    ctx.lineTo(x - arm, bottom);
    ctx.lineWidth = 1.6 * ratio;
    ctx.setLineDash([]);
    ctx.stroke();
  } else if (kind === "flip") {
    ctx.moveTo(x, y);
    ctx.lineTo(x, y - 2.4 * size);
    ctx.lineTo(x + 1.9 * size, y - 1.7 * size);
    ctx.lineTo(x, y - 1.1 * size);
    ctx.fill();
    ctx.setLineDash([]);
    ctx.lineWidth = 1.2 * ratio;
    ctx.stroke();
  } else {
    ctx.arc(x, y - 1.4 * size, size * 0.7, 0, 2 * Math.PI);
    ctx.setLineDash([]);
    ctx.lineWidth = 1.2 * ratio;
    ctx.stroke();
  }
}

export function drawMarkers(u: uPlot, markers: Marker[], colours: MarkerColours): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  const marks = markers
    .filter(({ kind }) => kind !== "canary")
    .map((marker) => ({ marker, x: Math.round(u.valToPos(seconds(marker.at), "x", true)) + 0.5 }))
    .filter(({ x }) => x >= bbox.left && x <= bbox.left + bbox.width);
  const lines = marks.length <= LINES_MAX;
  ctx.save();
  for (const { marker, x } of marks) {
    const colour = marker.kind === "rollback" ? colours.rollback : marker.kind === "flip" ? colours.flip : colours.deploy;
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    if (lines && marker.kind !== "note") {
      ctx.lineWidth = ratio;
      ctx.setLineDash(marker.kind === "flip" ? [ratio, 3 * ratio] : [3 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    head(ctx, marker.kind, x, bbox.top, ratio);
  }
  ctx.restore();
}

/** The marks under the pointer; a canary counts anywhere within its band when no line is nearer. */
export function marksAt(u: uPlot, markers: Marker[], left: number): Marker[] {
  const near = markers.filter(({ kind, at }) => kind !== "canary" && Math.abs(u.valToPos(seconds(at), "x") - left) <= NEAR_PX);
  if (near.length > 0) return near;
  return markers.filter(
    ({ kind, at, end_at }) =>
      kind === "canary" && left >= u.valToPos(seconds(at), "x") && left <= (end_at ? u.valToPos(seconds(end_at), "x") : Infinity),
  );
}
