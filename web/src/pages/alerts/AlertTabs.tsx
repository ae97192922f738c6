import type { ReactElement } from "react";
import { Tabs } from "../../ui/Tabs";

export function AlertTabs({ current }: { current: "alerts" | "rules" | "checks" | "sources" | "mutes" | "simulate" | "noise" }): ReactElement {
  return (
    <Tabs
      label="Views of alerts"
      current={current}
      tabs={[
        { name: "alerts", to: "/alerts", text: "Firing" },
        { name: "rules", to: "/alerts/rules", text: "Rules" },
        { name: "checks", to: "/alerts/checks", text: "Checks" },
        { name: "sources", to: "/alerts/sources", text: "Sources" },
        { name: "mutes", to: "/alerts/mutes", text: "Mutes" },
        { name: "simulate", to: "/alerts/simulate", text: "What if" },
        { name: "noise", to: "/alerts/noise", text: "Noise" },
      ]}
    />
  );
}
