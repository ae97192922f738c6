import { useState, type FormEvent, type ReactElement } from "react";
import type { Dashboard } from "../../api/types";
import { foundBy } from "../../lib/search";
import { plural } from "../../lib/units";
import { navigate, searchWith } from "../../router/router";
import { Field } from "../../ui/Field";
import { Tabs } from "../../ui/Tabs";

/** More tabs than this are searched, not read. */
export const TABS_MAX = 12;

/** Those in whose title, name or service each word stands; behind them those that have the words with their panels' titles. */
export function dashboardsWith(items: Dashboard[], text: string): Dashboard[] {
  return foundBy(items, text, ({ title, name, service }) => [title, name, service].join("\n"), ({ panels }) => panels.map(({ title }) => title).join("\n"));
}

/** The ways to all dashboards and to Explore; of many those that are searched for, and always the one that is shown. */
export function DashboardTabs({ items, current }: { items: Dashboard[]; current: string }): ReactElement {
  const [text, setText] = useState("");
  const search = searchWith({ edit: null, panel: null });
  const to = (name: string): string => `/graphs/${encodeURIComponent(name)}${search}`;
  const many = items.length > TABS_MAX;
  const found = many ? dashboardsWith(items, text) : items;
  const shown = found.slice(0, TABS_MAX);
  const here = items.find(({ name }) => name === current);
  const tabs = [
    ...(here && !shown.includes(here) ? [here, ...shown] : shown).map(({ name, title }) => ({ name, to: to(name), text: title })),
    { name: "explore", to: to("explore"), text: "Explore" },
  ];
  const [first] = found;
  const go = (event: FormEvent): void => {
    event.preventDefault();
    if (!text.trim() || !first) return;
    navigate(to(first.name));
    setText("");
  };
  return (
    <>
      {many && (
        <form className="form-row" onSubmit={go}>
          <Field label="Find a dashboard" hint="by words of its title, name, service or panels; Enter opens the first"><input type="search" value={text} onChange={(event) => setText(event.target.value)} /></Field>
          <span className="muted small" role="status">{text.trim() ? `${found.length} of ${plural(items.length, "dashboard")}` : plural(items.length, "dashboard")}{found.length > TABS_MAX && `; the first ${TABS_MAX} stand here`}</span>
        </form>
      )}
      <Tabs label="Dashboards" tabs={tabs} current={current} />
    </>
  );
}
