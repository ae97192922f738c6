/** Panels that show how it stands: one large value, or bars. */
import type { ReactElement, ReactNode } from "react";
import type { Panel } from "../../api/types";
import { absolute } from "../../lib/zone";
import { format } from "../../lib/units";
import { Status } from "../../ui/basics";
import { Loaded } from "../../ui/Section";
import { Sparkline } from "../../ui/Sparkline";
import { ChartFrame } from "../ChartFrame";
import { toCsv } from "../csv";
import { reached, thresholdText } from "../look";
import { PanelLinks } from "../PanelLinks";
import { saveFigures, type Figure } from "../png";
import type { Range } from "../range";
import { settled } from "../series";
import { spreadOf } from "../summary";
import { told, wordOf } from "../words";
import { asksRange, useNewest, useReduced, type Newest } from "./useNewest";

const BARS_MAX = 20;

interface RowsProps {
  panel: Panel;
  range: Range;
  /** As a picture; a table is text, and is kept as a file of its numbers alone. */
  drawn?: (rows: Newest[]) => Figure[];
  /** The numbers as a file, where they are not one of each series. */
  csv?: ((rows: Newest[]) => string) | undefined;
  children: (rows: Newest[]) => ReactNode;
}

const plainCsv = (rows: Newest[]): string => toCsv([["series", "value"], ...rows.map(({ label, value }) => [label, value])]);

/** No series, or none that is shown: the word for it, where the panel has one. */
const Nothing = ({ panel }: { panel: Panel }): ReactElement =>
  (wordOf(null, panel.words) ? <p className="stat-value"><Judged value={null} panel={panel} /></p> : <p className="muted">No data.</p>);

function Framed({ panel, range, drawn, csv = plainCsv, query, children }: RowsProps & { query: ReturnType<typeof useNewest> }): ReactElement {
  const rows = settled(query.data ?? [], panel.series);
  const { title } = panel;
  return (
    <ChartFrame
      as="section" title={title} description={panel.description} tools={<PanelLinks panel={panel} />}
      csv={rows.length > 0 ? () => csv(rows) : undefined}
      onPng={drawn && rows.length > 0 ? () => saveFigures(drawn(rows), title, range.name ? absolute(Date.now()) : absolute(range.toMs)) : undefined}
    >
      <Loaded query={query}>
        {(found) => {
          const shown = settled(found, panel.series);
          return shown.length === 0 ? <Nothing panel={panel} /> : children(shown);
        }}
      </Loaded>
    </ChartFrame>
  );
}

const OfNewest = (props: RowsProps): ReactElement => <Framed {...props} query={useNewest(props.panel.queries, props.range)} />;
const OfRange = (props: RowsProps): ReactElement => <Framed {...props} query={useReduced(props.panel, props.range)} />;

/** A panel of one value for each series; a range is asked for where it needs one. */
export const Rows = (props: RowsProps): ReactElement => (asksRange(props.panel) ? <OfRange {...props} /> : <OfNewest {...props} />);

/** What a row's value is in: how many values there are is a number, whatever they are in. */
const valueUnit = ({ reduce, unit = "short" }: Panel, own: string | undefined): string => (reduce === "count" ? "short" : (own ?? unit));

const figures = (panel: Panel) => (rows: Newest[]): Figure[] => rows.slice(0, BARS_MAX).map(({ label, value, unit, decimals }) => ({ label, text: told(value, valueUnit(panel, unit), panel.words, decimals) }));

/** The largest first, and how long a bar is that has no bound of its own. */
function topped(rows: Newest[]): (Newest & { value: number; share: number })[] {
  const sorted = rows.flatMap((row) => (row.value === null ? [] : [{ ...row, value: row.value }])).sort((a, b) => b.value - a.value);
  const most = Math.max(...sorted.map(({ value }) => value), 0) || 1;
  return sorted.map((row) => ({ ...row, share: Math.max(0, row.value) / most }));
}

/** What threshold a value reaches, in words. */
function worst(value: number | null, { unit = "short", thresholds }: Pick<Panel, "unit" | "thresholds">): string | null {
  const found = reached(value, thresholds);
  return found && thresholdText(found, unit);
}

/** A value, in the look of the worst threshold that it reaches. */
export function Judged({ value, panel, unit = panel.unit ?? "short", decimals }: { value: number | null; panel: Panel; unit?: string | undefined; decimals?: number | undefined }): ReactElement {
  const word = wordOf(value, panel.words);
  const text = word?.text ?? format(value, unit, decimals);
  if (word?.level) return <Status look={word.level}>{text}<span className="sr-only"> ({word.level})</span></Status>;
  const found = reached(value, panel.thresholds);
  if (!found) return <>{text}</>;
  return <span title={thresholdText(found, unit)}><Status look={found.level}>{text}<span className="sr-only"> ({found.level})</span></Status></span>;
}

/** What a line below a value was, in words. */
function lineWords(line: (number | null)[], unit: string, rangeText: string): string {
  const spread = spreadOf(line);
  return spread ? `${rangeText}: lowest ${format(spread.low, unit)}, highest ${format(spread.high, unit)}` : `${rangeText}: no data`;
}

export function StatPanel({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  return (
    <Rows panel={panel} range={range} drawn={figures(panel)}>
      {(rows) => (
        <ul className="stats">
          {rows.slice(0, BARS_MAX).map(({ label, value, line, unit = panel.unit ?? "short", decimals, thresholds = panel.thresholds }, index) => (
            <li key={`${label} ${index}`}>
              <span className="stat-value"><Judged value={value} panel={thresholds ? { ...panel, thresholds } : panel} unit={valueUnit(panel, unit)} decimals={decimals} /></span>
              {panel.sparkline && line && <Sparkline values={line} label={lineWords(line, unit, range.text)} />}
              {worst(value, { unit, ...(thresholds ? { thresholds } : {}) }) && <span className="small">{worst(value, { unit, ...(thresholds ? { thresholds } : {}) })}</span>}
              {(rows.length > 1 || panel.queries[0]?.legend) && <span className="muted small">{label}</span>}
            </li>
          ))}
        </ul>
      )}
    </Rows>
  );
}

export function TopPanel({ panel, range }: { panel: Panel; range: Range }): ReactElement {
  return (
    <Rows panel={panel} range={range} drawn={(rows) => topped(rows).slice(0, BARS_MAX).map(({ label, value, share, unit, decimals }) => ({ label, text: told(value, valueUnit(panel, unit), panel.words, decimals), share }))}>
      {(rows) => {
        const sorted = topped(rows);
        // What is no number has no bar.
        if (sorted.length === 0) return <Nothing panel={panel} />;
        return (
          <ol className="bars">
            {sorted.slice(0, BARS_MAX).map(({ label, value, share, unit, decimals, thresholds = panel.thresholds }, index) => (
              <li key={`${label} ${index}`}>
                <span className="bar-label" title={label}>{label}</span>
                <span className="number nowrap"><Judged value={value} panel={thresholds ? { ...panel, thresholds } : panel} unit={valueUnit(panel, unit)} decimals={decimals} /></span>
                <meter min={0} max={1} value={share} aria-hidden="true" />
              </li>
            ))}
            {sorted.length > BARS_MAX && <li className="muted small">and {sorted.length - BARS_MAX} more</li>}
          </ol>
        );
      }}
    </Rows>
  );
}
