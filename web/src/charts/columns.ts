/** A table of series: a column for each label and each query, in the order, under the titles and in the units that a panel says. */
import { severalMetrics } from "../api/promql";
import type { Panel, PanelColumn, PanelSort } from "../api/types";
import { UNITS } from "../lib/units";
import type { Newest } from "./panels/useNewest";

export interface Column {
  name: string;
  title: string;
  /** Of which query it is the value; null of a label. */
  query: number | null;
  unit: string;
}

export interface Row {
  labels: Record<string, string>;
  values: (number | null)[];
}

const VALUE = /^value(?: ([1-9]\d*))?$/;
const valueName = (query: number): string => (query === 0 ? "value" : `value ${query + 1}`);

function queryOf(name: string): number | null {
  const found = VALUE.exec(name);
  return found ? Number(found[1] ?? 1) - 1 : null;
}

/** Series of several queries with the same labels are one row; the metric's name tells no row from another. */
export function rowsOf(newest: Newest[], queries: number): Row[] {
  const rows = new Map<string, Row>();
  const several = queries === 1 && severalMetrics(newest.map(({ labels }) => labels));
  for (const { labels, query, value } of newest) {
    const { __name__, ...rest } = labels;
    const kept = several && __name__ ? { __name__, ...rest } : rest;
    const key = JSON.stringify(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1)));
    const row = rows.get(key) ?? { labels: kept, values: new Array<number | null>(queries).fill(null) };
    row.values[query] = value;
    rows.set(key, row);
  }
  return [...rows.values()];
}

/** What is named stands first, in its order; then labels, then values. */
export function columnsOf(rows: Row[], panel: Panel): Column[] {
  const { unit = "short", columns = [], queries } = panel;
  const labels = [...new Set(rows.flatMap(({ labels: of }) => Object.keys(of)))].sort();
  const there = [...labels, ...queries.map((_, query) => valueName(query))];
  const named = new Map(columns.map((column) => [column.name, column]));
  const order = [...columns.map(({ name }) => name).filter((name) => there.includes(name)), ...there.filter((name) => !named.has(name))];
  return order.filter((name) => !named.get(name)?.hidden).map((name): Column => {
    const query = labels.includes(name) ? null : queryOf(name);
    const said = named.get(name);
    const plain = query === null ? (name === "__name__" ? "Metric" : name) : queries.length === 1 ? "Value" : (queries[query]?.legend || `Value ${query + 1}`);
    return { name, title: said?.title || plain, query, unit: said?.unit || unit };
  });
}

const cellOf = ({ labels, values }: Row, name: string, query: number | null): string | number | null => (query === null ? (labels[name] ?? "") : (values[query] ?? null));

const isNone = (value: string | number | null): boolean => value === null || Number.isNaN(value);

/** Which of two stands first: what has no value, or none that is a number, comes last, whichever way they are sorted. */
export function compared(a: string | number | null, b: string | number | null, descending: boolean): number {
  if (isNone(a) || isNone(b)) return Number(isNone(a)) - Number(isNone(b));
  const way = descending ? -1 : 1;
  // Two infinities have no difference.
  if (typeof a === "number" && typeof b === "number") return a === b ? 0 : way * (a < b ? -1 : 1);
  return way * String(a).localeCompare(String(b), "en", { numeric: true });
}

export function sorted(rows: Row[], sort: PanelSort | null | undefined): Row[] {
  if (!sort) return rows;
  const isLabel = rows.some(({ labels }) => sort.by in labels);
  const query = isLabel ? null : queryOf(sort.by);
  return [...rows].sort((one, other) => compared(cellOf(one, sort.by, query), cellOf(other, sort.by, query), sort.descending ?? false));
}

export const cells = (row: Row, columns: Column[]): (string | number | null)[] => columns.map(({ name, query }) => cellOf(row, name, query));

const WRITTEN = /^(.+?)(?:\s+as\s+(.+?))?(?:\s+in\s+([a-z_]+))?(\s+hidden)?$/;

/** `instance as Host, value 2 as Load in ratio, job hidden` as somebody types it; null when it is not written like that. */
export function readColumns(text: string): PanelColumn[] | null {
  const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
  const read = parts.map((part): PanelColumn | null => {
    const [, name, title, unit, hidden] = WRITTEN.exec(part) ?? [];
    if (!name || (unit && !UNITS.includes(unit))) return null;
    return { name, ...(title ? { title } : {}), ...(unit ? { unit } : {}), ...(hidden ? { hidden: true } : {}) };
  });
  const good = read.filter((one): one is PanelColumn => one !== null);
  return good.length === read.length && new Set(good.map(({ name }) => name)).size === good.length ? good : null;
}

export const writeColumns = (columns: PanelColumn[] = []): string =>
  columns.map(({ name, title, unit, hidden }) => `${name}${title ? ` as ${title}` : ""}${unit ? ` in ${unit}` : ""}${hidden ? " hidden" : ""}`).join(", ");

/** `value descending`, `instance`; nothing written is no order. */
export function readSort(text: string): PanelSort | null {
  const [, by, down] = /^(.*?)(\s+descending)?$/.exec(text.trim()) ?? [];
  return by ? { by, ...(down ? { descending: true } : {}) } : null;
}

export const writeSort = (sort: PanelSort | null | undefined): string => (sort ? `${sort.by}${sort.descending ? " descending" : ""}` : "");
