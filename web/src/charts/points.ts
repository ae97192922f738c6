/** Exemplars on the canvas: diamonds, where they were observed. */
import type uPlot from "uplot";
import type { Point } from "./exemplars";
import type { Ink } from "./options";

const SIZE_PX = 3.5;
const NEAR_PX = 9;

/** A value beyond the axis stands at its edge, so that it can be found: a graph of rates shows exemplars of durations. */
function heightOf(u: uPlot, { y }: Point, canvas: boolean): number {
  const { min = 0, max = 1 } = u.scales.y ?? {};
  return u.valToPos(Math.min(max ?? 1, Math.max(min ?? 0, y)), "y", canvas);
}

export function drawPoints(u: uPlot, points: Point[], ink: Ink): void {
  if (points.length === 0) return;
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.fillStyle = ink.ground;
  ctx.strokeStyle = ink.strong;
  ctx.lineWidth = 1.2 * ratio;
  for (const point of points) {
    const x = u.valToPos(point.exemplar.time, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const y = heightOf(u, point, true);
    const size = SIZE_PX * ratio;
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

/** The nearest to the pointer, which is in pixels from the plot's corner; null when none is near. */
export function pointAt(u: uPlot, points: Point[], left: number, top: number): Point | null {
  let found: Point | null = null;
  let least = NEAR_PX;
  for (const point of points) {
    const distance = Math.hypot(u.valToPos(point.exemplar.time, "x") - left, heightOf(u, point, false) - top);
    if (distance < least) [found, least] = [point, distance];
  }
  return found;
}
