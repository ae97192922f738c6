/**
 * The record drawn onto a graph: ▾ dashed for a deploy, × for a rollback, a band for a canary, ⚑ for a flip, a ring for a note,
 * ▴ with a bar along the top for an alert, ■ with a band for an incident; ▸ for what a dashboard's own query marks.
 */
import type uPlot from "uplot";
import type { Marker } from "../api/types";
import type { Ink } from "./options";

type Kind = Marker["kind"];

/** What each mark is called, one and many, and how the key shows it. */
export const KINDS: Record<Kind, { sign: string; one: string; many: string; look?: "critical" | "warning" }> = {
  deploy: { sign: "▾", one: "deploy", many: "deploys" },
  rollback: { sign: "×", one: "rollback", many: "rollbacks", look: "critical" },
  canary: { sign: "▒", one: "canary", many: "canaries" },
  flip: { sign: "⚑", one: "flag flip", many: "flag flips" },
  note: { sign: "○", one: "note", many: "notes" },
  alert: { sign: "▴", one: "alert", many: "alerts", look: "warning" },
  incident: { sign: "■", one: "incident", many: "incidents", look: "critical" },
  mark: { sign: "▸", one: "mark by a query", many: "marks by queries" },
};

/** Those that last: without an end they reach to the right edge. */
export const LASTING: ReadonlySet<Kind> = new Set<Kind>(["canary", "alert", "incident"]);

/** A mark by a query lasts where it has an end. */
const lasts = ({ kind, end_at }: Marker): boolean => LASTING.has(kind) || (kind === "mark" && Boolean(end_at));

function colourOf(kind: Kind, ink: Ink): string {
  switch (kind) {
    case "rollback":
    case "incident":
      return ink.critical;
    case "alert":
      return ink.warning;
    case "flip":
    case "canary":
      return ink.accent;
    case "mark":
      return ink.strong;
    default:
      return ink.text;
  }
}

/** With more marks than this in view only their heads are drawn, so that the lines below stay readable. */
const LINES_MAX = 24;
const HEAD_PX = 4;
const NEAR_PX = 7;
const BAND_ALPHA = 0.14;
/** An incident lasts longer than a canary, and lines have to be read through it. */
const INCIDENT_ALPHA = 0.08;
const BAR_PX = 3;
/** Bars of different kinds lie under each other. */
const BAR_ROW: Partial<Record<Kind, number>> = { incident: 1, canary: 2, mark: 3 };
const seconds = (instant: string): number => Date.parse(instant) / 1000;

/** Bands under the lines: what lasted, from its beginning to its end; `bars` alone where the plot is filled with colour itself. */
export function drawBands(u: uPlot, markers: Marker[], ink: Ink, bars: boolean): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  for (const marker of markers) {
    if (!lasts(marker)) continue;
    const left = Math.max(bbox.left, u.valToPos(seconds(marker.at), "x", true));
    const end = marker.end_at ? u.valToPos(seconds(marker.end_at), "x", true) : bbox.left + bbox.width;
    const right = Math.min(bbox.left + bbox.width, end);
    if (right <= left) continue;
    ctx.save();
    ctx.fillStyle = bars && marker.kind === "canary" ? ink.strong : colourOf(marker.kind, ink);
    // Many alerts fire at once: bars do not add up to a wall of colour as bands would.
    const bar = bars || marker.kind === "alert" || marker.kind === "mark";
    const height = bar ? BAR_PX * ratio : bbox.height;
    if (!bar) ctx.globalAlpha = marker.kind === "incident" ? INCIDENT_ALPHA : BAND_ALPHA;
    const top = bbox.top + (bars || marker.kind === "mark" ? (BAR_ROW[marker.kind] ?? 0) * BAR_PX * ratio : 0);
    ctx.fillRect(left, top, Math.max(2, right - left), height);
    ctx.restore();
  }
}

function head(ctx: CanvasRenderingContext2D, kind: Kind, x: number, y: number, ratio: number): void {
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
  } else if (kind === "alert") {
    ctx.moveTo(x - size, y - 0.4 * size);
    ctx.lineTo(x + size, y - 0.4 * size);
    ctx.lineTo(x, y - 2 * size);
    ctx.closePath();
    ctx.fill();
  } else if (kind === "mark") {
    ctx.moveTo(x, y - 2.2 * size);
    ctx.lineTo(x + 1.6 * size, y - 1.3 * size);
    ctx.lineTo(x, y - 0.4 * size);
    ctx.closePath();
    ctx.fill();
  } else if (kind === "incident") {
    ctx.fillRect(x - 0.8 * size, y - 2.1 * size, 1.6 * size, 1.6 * size);
  } else {
    ctx.arc(x, y - 1.4 * size, size * 0.7, 0, 2 * Math.PI);
    ctx.setLineDash([]);
    ctx.lineWidth = 1.2 * ratio;
    ctx.stroke();
  }
}

export function drawMarkers(u: uPlot, markers: Marker[], ink: Ink): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  const marks = markers
    .filter(({ kind }) => kind !== "canary")
    .map((marker) => ({ marker, x: Math.round(u.valToPos(seconds(marker.at), "x", true)) + 0.5 }))
    .filter(({ x }) => x >= bbox.left && x <= bbox.left + bbox.width);
  const lines = marks.length <= LINES_MAX;
  ctx.save();
  for (const { marker, x } of marks) {
    const colour = colourOf(marker.kind, ink);
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    if (lines && marker.kind !== "note" && marker.kind !== "alert") {
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

/** The marks under the pointer; what lasts counts anywhere within its span when no line is nearer. */
export function marksAt(u: uPlot, markers: Marker[], left: number): Marker[] {
  const near = markers.filter(({ kind, at }) => kind !== "canary" && Math.abs(u.valToPos(seconds(at), "x") - left) <= NEAR_PX);
  if (near.length > 0) return near;
  return markers.filter(
    (marker) =>
      lasts(marker) && left >= u.valToPos(seconds(marker.at), "x") && left <= (marker.end_at ? u.valToPos(seconds(marker.end_at), "x") : Infinity),
  );
}
