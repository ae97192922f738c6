/** uPlot's options in our visual language: hairlines, no animation, clock on 24 hours, synced cursors. */
import uPlot from "uplot";
import { seriesColour, seriesDash, type Theme } from "../lib/palette";
import { format } from "../lib/units";
import { isUtc } from "../lib/zone";
import { bandsOf, colourOf, lineText, type Line } from "./summary";
import { isStacked, logRange, stackOf, type Axis } from "./look";
import { distinct, stepsOf, timeLabels, valueLabels } from "./ticks";

export interface Ink {
  /** Of what has to be seen first. */
  strong: string;
  ground: string;
  text: string;
  line: string;
  accent: string;
  critical: string;
  warning: string;
  control: string;
  font: string;
}

export function readInk(): Ink {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  return {
    strong: token("--text"),
    ground: token("--panel"),
    text: token("--muted"),
    line: token("--line"),
    accent: token("--accent"),
    critical: token("--critical"),
    warning: token("--warning"),
    control: token("--control"),
    font: `11px ${token("--font")}`,
  };
}

/** Zero is always in view, so that a small wobble is not drawn as a cliff. */
export function valueRange(low: number | null, high: number | null): [number, number] {
  const top = Math.max(high ?? 0, 0);
  const bottom = Math.min(low ?? 0, 0);
  if (top === 0 && bottom === 0) return [0, 1];
  return [bottom * 1.08, top * 1.12];
}

/** The same for every chart, so that a column of charts has its hours under each other. */
const AXIS_PX = 60;

/** How much of a colour fills what lies between two bounds, in hex. */
const BAND_ALPHA = "26";
/** Of stacked lines the areas are what is read. */
const STACK_ALPHA = "66";

export interface Wanted {
  lines: Line[];
  unit: string;
  theme: Theme;
  ink: Ink;
  axis?: Axis | undefined;
  width: number;
  height: number;
  sync: string | undefined;
  onZoom: ((fromMs: number, toMs: number) => void) | undefined;
  hooks: uPlot.Hooks.Arrays;
}

/** Rows of equal height, named at the bounds between them. `bounds` is asked at each drawing. */
export function heatOptions(wanted: Omit<Wanted, "lines">, bounds: () => string[]): uPlot.Options {
  const base = chartOptions({ ...wanted, lines: [] });
  const [time, values] = base.axes ?? [];
  const every = (): number => Math.max(1, Math.ceil(bounds().length / 8));
  return {
    ...base,
    scales: { x: { time: true }, y: { range: () => [0, Math.max(1, bounds().length - 1)] } },
    axes: [
      { ...time, grid: { show: false } },
      {
        ...values,
        grid: { show: false },
        splits: () => bounds().map((_, at) => at).filter((at) => at % every() === 0),
        values: (_u, splits) => splits.map((at) => bounds()[at] ?? ""),
      },
    ],
    series: [{}, { show: true, stroke: wanted.ink.text, points: { show: false } }],
  };
}

/** Of dates nobody wants to see 1970. */
function dateRange(low: number | null, high: number | null): [number, number] {
  const room = Math.max(((high ?? 0) - (low ?? 0)) * 0.1, 60);
  return low === null || high === null ? [0, 1] : [low - room, high + room];
}

/** Where the axis of values begins and ends: at what is told, else at what there is. */
function ends(axis: Axis, low: number | null, high: number | null, unit?: string): [number, number] {
  const [bottom, top] = axis.log ? logRange(low, high) : unit === "date" ? dateRange(low, high) : valueRange(low, high);
  const [from, to] = [axis.min ?? bottom, axis.max ?? top];
  return from < to ? [from, to] : [bottom, top];
}

const NO_AXIS: Axis = {};

/** Of a share, in hex. */
const alpha = (share: number): string => Math.round(Math.min(1, Math.max(0, share)) * 255).toString(16).padStart(2, "0");

export function chartOptions({ lines, unit, theme, ink, axis: drawn = NO_AXIS, width, height, sync, onZoom, hooks }: Wanted): uPlot.Options {
  const stacks = new Map<string, number[]>();
  lines.forEach((line, index) => {
    if (drawn.stacked && isStacked(line)) stacks.set(stackOf(line), [...(stacks.get(stackOf(line)) ?? []), index]);
  });
  const lowest = [...stacks.values()].map(([first]) => first);
  const colour = (index: number): string => lines[index]?.colour ?? seriesColour(theme, colourOf(lines, index));
  const onRight = lines.find(({ right }) => right);
  const unitRight = onRight?.unit ?? unit;
  const [steps, stepsRight] = [stepsOf(unit), stepsOf(unitRight)];
  const axis = { stroke: ink.text, font: ink.font, grid: { stroke: ink.line, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [14, 18, 0, 0],
    legend: { show: false },
    // Days begin where the labels say so.
    ...(isUtc() ? { tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1000), "UTC") } : {}),
    cursor: {
      y: false,
      points: { size: 5 },
      drag: { x: Boolean(onZoom), y: false, setScale: false },
      ...(sync ? { sync: { key: sync, setSeries: false } } : {}),
    },
    scales: {
      x: { time: true },
      y: { ...(drawn.log ? { distr: 3 as const, log: 10 as const } : {}), range: (_u, low, high) => ends(drawn, low, high, unit) },
      ...(onRight ? { right: { range: (_u: uPlot, low: number | null, high: number | null) => ends({ min: drawn.rightMin ?? null, max: drawn.rightMax ?? null }, low, high) } } : {}),
    },
    axes: [
      { ...axis, size: 26, gap: 8, space: 64, values: (_u, splits, _i, _space, step) => timeLabels(splits, step) },
      {
        ...axis,
        gap: 4,
        space: 32,
        size: AXIS_PX,
        ...(steps && !drawn.log ? { incrs: steps } : {}),
        // Between two powers of ten only some splits are named.
        values: (_u, splits: (number | null)[], _i, _space, step) => valueLabels(splits, unit, drawn.log ? null : step),
      },
      ...(onRight ? [{
        ...axis, grid: { show: false }, scale: "right", side: 1 as const, gap: 4, space: 32, size: AXIS_PX, ...(stepsRight ? { incrs: stepsRight } : {}),
        values: (_u: uPlot, splits: (number | null)[], _i: number, _space: number, step: number) => (
          stepsRight ? valueLabels(splits, unitRight, step) : distinct(splits, (value, decimals) => (decimals === undefined ? lineText(onRight, value, unit) : format(value, unitRight, decimals)))
        ),
      }] : []),
    ],
    series: [
      {},
      ...lines.map((line, index) => ({
        label: line.label,
        ...(line.right ? { scale: "right" } : {}),
        stroke: line.limit ? (line.limit === "warning" ? ink.warning : ink.critical) : colour(index),
        dash: line.limit ? [2, 4] : line.dashed ? [6, 4] : line.colour ? [] : seriesDash(colourOf(lines, index)),
        width: line.edge ? 0.5 : line.limit ? 1 : (line.width ?? 1.5),
        points: { show: false },
        spanGaps: false,
        // The lowest of stacked lines is filled down to the axis.
        ...(lowest.includes(index) ? { fill: `${colour(index)}${STACK_ALPHA}` } : {}),
        ...(line.fill ? { fill: `${colour(index)}${alpha(line.fill)}` } : {}),
      })),
    ],
    bands: [
      ...bandsOf(lines).map(([high, low]): uPlot.Band => ({ series: [high + 1, low + 1], fill: `${colour(high)}${BAND_ALPHA}` })),
      ...[...stacks.values()].flatMap((stack) => stack.slice(1).map((index, at): uPlot.Band => ({
        series: [index + 1, stack[at]! + 1], fill: `${colour(index)}${STACK_ALPHA}`, ...(lines[index]?.below ? { dir: 1 as const } : {}),
      }))),
    ],
    hooks: {
      ...hooks,
      setSelect: [
        (u) => {
          if (!onZoom || u.select.width < 8) return;
          const from = u.posToVal(u.select.left, "x");
          const to = u.posToVal(u.select.left + u.select.width, "x");
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          onZoom(Math.round(from * 1000), Math.round(to * 1000));
        },
      ],
    },
  };
}
