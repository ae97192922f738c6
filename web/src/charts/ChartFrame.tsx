import type { ReactElement, ReactNode } from "react";
import { saveCsv } from "./csv";

interface Props {
  title: string;
  description?: string | null | undefined;
  /** A canvas is a figure; what is text anyway is a section. */
  as?: "figure" | "section";
  busy?: boolean | undefined;
  /** What it shows, in words: the name of a figure. */
  words?: string;
  /** The newest value, or what the pointer is on. */
  now?: ReactNode;
  /** More buttons, in front. */
  tools?: ReactNode;
  onPng?: ((panel: HTMLElement) => void) | undefined;
  /** The numbers as a file. */
  csv?: (() => string) | undefined;
  /** Its other shape, where it has one. */
  table?: { shown: boolean; onChange: (shown: boolean) => void };
  children: ReactNode;
}

/** A panel's title and what can be done with it. */
export function ChartFrame({ title, description, as: Tag = "figure", busy, words, now, tools, onPng, csv, table, children }: Props): ReactElement {
  return (
    <Tag className="chart panel" aria-busy={busy || undefined} aria-label={Tag === "section" ? title : undefined}>
      <div className="chart-head">
        <h3 title={description ?? undefined}>{title}</h3>
        {now}
        <span className="chart-tools">
          {tools}
          {csv && <button type="button" className="button" aria-label={`Save ${title} as csv`} onClick={() => saveCsv(csv(), title)}>csv</button>}
          {onPng && (
            <button type="button" className="button" aria-label={`Save ${title} as png`} onClick={(event) => { const panel = event.currentTarget.closest<HTMLElement>(".chart"); if (panel) onPng(panel); }}>
              png
            </button>
          )}
          {table && (
            <button type="button" className="button" aria-pressed={table.shown} aria-label={`Show ${title} as ${table.shown ? "a graph" : "a table"}`} onClick={() => table.onChange(!table.shown)}>
              {table.shown ? "graph" : "table"}
            </button>
          )}
        </span>
      </div>
      {words !== undefined && <figcaption className={table?.shown ? "small muted" : "sr-only"}>{words}</figcaption>}
      {children}
    </Tag>
  );
}
