import type { ReactElement } from "react";
import { usePath } from "../../router/router";
import { Tabs } from "../../ui/Tabs";
import { SUB_PAGES } from "./pages";

/** The pages around flags, the same row on each of them. */
export function FlagNav(): ReactElement {
  const path = usePath();
  const current = SUB_PAGES.find(({ to }) => to === path)?.name ?? "";
  return <Tabs label="Flag pages" current={current} tabs={SUB_PAGES} />;
}
