import type { ReactElement } from "react";
import { Tabs } from "../../ui/Tabs";

export function OnCallTabs({ current }: { current: "schedules" | "me" | "readiness" }): ReactElement {
  return (
    <Tabs
      label="Views of on-call"
      current={current}
      tabs={[
        { name: "schedules", to: "/on-call", text: "Schedules" },
        { name: "me", to: "/on-call/me", text: "Me" },
        { name: "readiness", to: "/on-call/readiness", text: "Readiness" },
      ]}
    />
  );
}
