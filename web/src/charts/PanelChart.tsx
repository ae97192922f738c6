import { useEffect, useMemo, type ReactElement } from "react";
import type { Marker, Panel } from "../api/types";
import { useParams } from "../router/router";
import { Chart } from "./Chart";
import { useExemplars } from "./exemplars";
import { withThresholds, zeroed } from "./look";
import { HeatmapPanel } from "./panels/HeatmapPanel";
import { StatPanel, TopPanel } from "./panels/NewestPanels";
import { TablePanel } from "./panels/TablePanel";
import { TextPanel } from "./panels/TextPanel";
import { exploreOf, PanelLinks } from "./PanelLinks";
import type { Range } from "./range";
import { rightEnds } from "./series";
import { useLines } from "./useLines";

interface Props {
  panel: Panel;
  range: Range;
  markers: Marker[];
  sync?: string;
  height?: number;
  /** A drag over the graph puts the stretch into the address. */
  zoom?: boolean;
  /** It leads to Explore with its queries; not where something unsaved would be lost. */
  explore?: boolean;
  /** A legend with the lowest, mean and highest of each line, and all that PromQL says; otherwise only what it warns of. */
  detailed?: boolean;
  /** The lines of a graph are there, or it says why not. */
  onDrawn?: () => void;
}

/** One panel of a dashboard. */
export function PanelChart({ panel: told, range, markers, sync, height, zoom, explore = false, detailed = false, onDrawn }: Props): ReactElement {
  const params = useParams();
  const onZoom = zoom ? (from: number, to: number): void => params.set({ from: String(from), to: String(to), range: null }, false) : undefined;
  const leads = explore && told.queries.length > 0;
  const panel = leads ? { ...told, links: [...(told.links ?? []), { title: "explore", to: exploreOf(told, range) }] } : told;
  switch (panel.kind) {
    case "stat":
      return <StatPanel panel={panel} range={range} />;
    case "table":
      return <TablePanel panel={panel} range={range} />;
    case "top":
      return <TopPanel panel={panel} range={range} />;
    case "text":
      return <TextPanel panel={panel} />;
    case "heatmap":
      return <HeatmapPanel panel={panel} range={range} markers={markers} sync={sync} height={height} onZoom={onZoom} />;
    default:
      return <GraphPanel panel={panel} range={range} markers={markers} sync={sync} height={height} onZoom={onZoom} detailed={detailed} onDrawn={onDrawn} />;
  }
}

type GraphProps = Omit<Props, "zoom" | "explore" | "sync" | "height" | "detailed" | "onDrawn"> & {
  detailed: boolean;
  sync: string | undefined;
  height: number | undefined;
  onZoom: ((from: number, to: number) => void) | undefined;
  onDrawn: (() => void) | undefined;
};

function GraphPanel({ panel, range, markers, sync, height, onZoom, detailed, onDrawn }: GraphProps): ReactElement {
  const { times, lines, note, loading, cut, notes } = useLines(panel.queries, range, undefined, panel.series);
  const { unit = "short", thresholds, stacked, log, min, max, nulls, connect_max_ms } = panel;
  const moving = range.name !== null;
  const told = useMemo(() => (nulls === "zero" ? zeroed(lines, moving) : lines), [lines, nulls, moving]);
  const drawn = useMemo(() => withThresholds(told, times.length, unit, thresholds), [told, times.length, unit, thresholds]);
  const said = useMemo(() => (detailed ? notes : notes.filter(({ level }) => level === "warning")), [notes, detailed]);
  const axis = useMemo(() => ({ stacked, log, min, max, nulls, connect_max_ms, ...rightEnds(panel.series) }), [stacked, log, min, max, nulls, connect_max_ms, panel.series]);
  const exemplars = useExemplars(panel.queries, range, panel.exemplars ?? false);
  useEffect(() => {
    if (!loading) onDrawn?.();
    // Told once, when the answer has come.
  }, [loading]);
  return (
    <Chart
      title={panel.title}
      tools={<PanelLinks panel={panel} />}
      unit={unit}
      description={panel.description}
      times={times}
      lines={drawn}
      axis={axis} cut={cut} notes={said} detailed={detailed || panel.width === 3}
      note={note} loading={loading}
      markers={markers}
      exemplars={exemplars.list} exemplarsNote={exemplars.error}
      rangeText={range.text}
      sync={sync}
      height={height}
      onZoom={onZoom}
    />
  );
}
