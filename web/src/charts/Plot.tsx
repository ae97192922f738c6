import type uPlot from "uplot";
import { useMemo, type ReactElement } from "react";
import { bridged, heights, type Axis } from "./look";
import { Canvas, type CanvasProps } from "./Canvas";
import { chartOptions } from "./options";
import type { Line } from "./summary";

export interface PlotProps extends Pick<CanvasProps, "unit" | "markers" | "height" | "sync" | "points" | "onPick" | "onZoom" | "onCursor"> {
  times: number[];
  lines: Line[];
  axis?: Axis | undefined;
}

const PLAIN: Axis = {};

/** What of a line is another canvas. */
const shapeOf = ({ label, unit, decimals, colour, right, dashed, unstacked, below, width, fill }: Line): string =>
  [label, unit, decimals, colour, right, dashed, unstacked, below, width, fill].map((part) => part ?? "").join(" ");

/** Lines on a canvas; other lines are another canvas, other numbers are not. */
export function Plot({ times, lines, axis = PLAIN, ...rest }: PlotProps): ReactElement {
  const { stacked, log, min, max, nulls, connect_max_ms, rightMin, rightMax } = axis;
  const data = useMemo(
    () => [times, ...heights(bridged(times, lines, { log, nulls, connect_max_ms }), { stacked, log })] as uPlot.AlignedData,
    [times, lines, stacked, log, nulls, connect_max_ms],
  );
  return (
    <Canvas
      {...rest}
      shape={`${rest.unit} ${stacked ?? ""} ${log ?? ""} ${min ?? ""} ${max ?? ""} ${rightMin ?? ""} ${rightMax ?? ""}\n${lines.map(shapeOf).join("\n")}`}
      data={data}
      options={(made) => chartOptions({ ...made, lines, unit: rest.unit, axis })}
    />
  );
}
