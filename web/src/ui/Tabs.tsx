import type { ReactElement } from "react";
import { Link } from "../router/Link";

/** Views of one page, each with its own address. */
export function Tabs({ label, tabs, current }: { label: string; tabs: { name: string; to: string; text: string }[]; current: string }): ReactElement {
  return (
    <nav className="tabs" aria-label={label}>
      {tabs.map((tab) => (
        <Link key={tab.name} to={tab.to} aria-current={tab.name === current ? "page" : undefined}>
          {tab.text}
        </Link>
      ))}
    </nav>
  );
}
