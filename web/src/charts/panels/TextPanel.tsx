import type { ReactElement } from "react";
import type { Panel } from "../../api/types";
import { Markdown } from "../../ui/Markdown";
import { ChartFrame } from "../ChartFrame";
import { PanelLinks } from "../PanelLinks";

/** Words beside the graphs. */
export function TextPanel({ panel }: { panel: Panel }): ReactElement {
  return (
    <ChartFrame as="section" title={panel.title} description={panel.description} tools={<PanelLinks panel={panel} />}>
      <Markdown text={panel.text ?? ""} />
    </ChartFrame>
  );
}
