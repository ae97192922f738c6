import type { ReactElement } from "react";
import type { Marker, Panel } from "../api/types";
import { useParams } from "../router/router";
import { Chart } from "./Chart";
import { HeatmapPanel } from "./panels/HeatmapPanel";
import { StatPanel, TablePanel, TopPanel } from "./panels/NewestPanels";
import type { Range } from "./range";
import { useLines } from "./useLines";

interface Props {
  panel: Panel;
  range: Range;
  markers: Marker[];
  sync?: string;
  height?: number;
  /** A drag over the graph puts the stretch into the address. */
  zoom?: boolean;
}

/** One panel of a dashboard. */
export function PanelChart(props: Props): ReactElement {
  const { panel, range } = props;
  switch (panel.kind) {
    case "stat":
      return <StatPanel panel={panel} range={range} />;
    case "table":
      return <TablePanel panel={panel} range={range} />;
    case "top":
      return <TopPanel panel={panel} range={range} />;
    case "heatmap":
      return <HeatmapPanel panel={panel} range={range} />;
    default:
      return <GraphPanel {...props} />;
  }
}

function GraphPanel({ panel, range, markers, sync, height, zoom }: Props): ReactElement {
  const { times, lines, note, loading } = useLines(panel.queries, range);
  const params = useParams();
  return (
    <Chart
      title={panel.title}
      unit={panel.unit ?? "short"}
      description={panel.description}
      times={times}
      lines={lines}
      note={note} loading={loading}
      markers={markers}
      rangeText={range.text}
      sync={sync}
      height={height ?? 150}
      onZoom={zoom ? (from, to) => params.set({ from: String(from), to: String(to), range: null }, false) : undefined}
    />
  );
}
