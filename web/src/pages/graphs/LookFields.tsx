import { useState, type ReactElement } from "react";
import type { Panel, PanelNulls, PanelReduce } from "../../api/types";
import { readColumns, readSort, writeColumns, writeSort } from "../../charts/columns";
import { REDUCES } from "../../charts/reduce";
import { ofKind, readSeries, writeSeries } from "../../charts/series";
import { readWords, writeWords } from "../../charts/words";
import { Field } from "../../ui/Field";

interface Props {
  draft: Panel;
  change: (changes: Partial<Panel>) => void;
}

const NULLS: [PanelNulls, string][] = [["gap", "a gap"], ["connect", "a line over it"], ["zero", "0"]];

/** Seconds as somebody types them; what is no number is no limit. */
function readGap(text: string): number | null {
  const seconds = Number(text);
  return text.trim() !== "" && Number.isFinite(seconds) && seconds > 0 ? Math.round(seconds * 1000) : null;
}

/** What stands where a series has no value. */
export function NullFields({ draft, change }: Props): ReactElement {
  const nulls = draft.nulls ?? "gap";
  return (
    <>
      <Field label="Where there is no value">
        <select value={nulls} onChange={(event) => change({ nulls: event.target.value as PanelNulls, connect_max_ms: null })}>
          {NULLS.map(([name, words]) => <option key={name} value={name}>{words}</option>)}
        </select>
      </Field>
      {nulls === "connect" && (
        <Field label="Gaps up to" hint="seconds; empty for all">
          <input inputMode="decimal" size={6} defaultValue={draft.connect_max_ms ? draft.connect_max_ms / 1000 : ""} onChange={(event) => change({ connect_max_ms: readGap(event.target.value) })} />
        </Field>
      )}
    </>
  );
}

/** Which value of a series is told and in which words, and the line below it. */
export function ValueFields({ draft, change, onWrong }: Props & { onWrong: (wrong: string | null) => void }): ReactElement {
  const [words, setWords] = useState(writeWords(draft.words));
  const write = (text: string): void => {
    setWords(text);
    const read = readWords(text);
    onWrong(read ? null : "Write words for values like: 0 = down (critical), 1 = up, 2..5 = some, nothing = N/A.");
    if (read) change({ words: read });
  };
  return (
    <>
      <Field label="Value">
        <select value={draft.reduce ?? "last"} onChange={(event) => change({ reduce: event.target.value as PanelReduce })}>
          {REDUCES.map(([name, words]) => <option key={name} value={name}>{name === "last" ? words : `${words} of the range`}</option>)}
        </select>
      </Field>
      <Field label="Words for values" hint="0 = down (critical), 1 = up, nothing = N/A"><input value={words} onChange={(event) => write(event.target.value)} /></Field>
      {draft.kind === "stat" && <label className="inline"><input type="checkbox" checked={draft.sparkline ?? false} onChange={(event) => change({ sparkline: event.target.checked })} /> Line below it</label>}
    </>
  );
}

/** Columns and order of a table, as somebody types them. */
export function TableFields({ draft, change, onWrong }: Props & { onWrong: (wrong: string | null) => void }): ReactElement {
  const [columns, setColumns] = useState(writeColumns(draft.columns));
  const write = (text: string): void => {
    setColumns(text);
    const read = readColumns(text);
    onWrong(read ? null : "Write columns like: instance as Host, value 2 as Load in ratio, job hidden.");
    if (read) change({ columns: read });
  };
  return (
    <>
      <Field label="Columns" hint="instance as Host, value 2 as Load in ratio, job hidden"><input value={columns} size={40} onChange={(event) => write(event.target.value)} /></Field>
      <Field label="Sorted by" hint="value descending"><input defaultValue={writeSort(draft.sort)} onChange={(event) => change({ sort: readSort(event.target.value) })} /></Field>
    </>
  );
}

/** What is set for single series, as somebody types it. */
export function SeriesFields({ draft, change, onWrong }: Props & { onWrong: (wrong: string | null) => void }): ReactElement {
  const [text, setText] = useState(writeSeries(draft.series));
  const write = (typed: string): void => {
    setText(typed);
    const read = readSeries(typed);
    onWrong(read ? null : 'Write what is set for series like: /sent/ = times -1, colour #315fcf, or: "total" = as "All of it", in bytes, right.');
    if (read) change({ series: read });
  };
  return (
    <Field label="Single series" hint={'one in each line: "total" = as "All of it", in bytes, decimals 1; /sent/ = times -1, colour #315fcf; query 2 = right, dashed; all = width 2'}>
      <textarea rows={Math.min(6, text.split("\n").length + 1)} cols={60} value={text} onChange={(event) => write(event.target.value)} />
    </Field>
  );
}

/** What a panel of another kind does not have is taken off it: the server refuses it there. */
export function asKind(panel: Panel): Panel {
  const kind = panel.kind ?? "graph";
  const graph = kind === "graph";
  const values = kind === "stat" || kind === "top" || kind === "table";
  return {
    ...panel,
    ...(graph ? {} : { stacked: false, log: false }),
    ...(graph || kind === "stat" ? {} : { nulls: "gap" as const, connect_max_ms: null }),
    ...(values ? {} : { reduce: "last" as const, words: [] }),
    ...(kind === "stat" ? {} : { sparkline: false }),
    ...(kind === "table" ? {} : { columns: [], sort: null }),
    ...(kind === "text" ? { queries: [] } : { text: null }),
    series: ofKind(panel.series, kind),
  };
}
