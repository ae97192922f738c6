import type uPlot from "uplot";
import { useMemo, type ReactElement } from "react";
import { Canvas, type CanvasProps } from "./Canvas";
import { chartOptions } from "./options";
import type { Line } from "./summary";

export interface PlotProps extends Pick<CanvasProps, "unit" | "markers" | "height" | "sync" | "points" | "onPick" | "onZoom" | "onCursor"> {
  times: number[];
  lines: Line[];
}

/** Lines on a canvas; other lines are another canvas, other numbers are not. */
export function Plot({ times, lines, ...rest }: PlotProps): ReactElement {
  const data = useMemo(() => [times, ...lines.map((line) => line.values)] as uPlot.AlignedData, [times, lines]);
  return (
    <Canvas
      {...rest}
      shape={`${rest.unit}\n${lines.map((line) => line.label).join("\n")}`}
      data={data}
      options={(made) => chartOptions({ ...made, lines, unit: rest.unit })}
    />
  );
}
