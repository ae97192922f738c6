/** The newest rows of the record that match, growing at the top as they are written and at the bottom when asked. */
import { useCallback, useEffect, useMemo, useState } from "react";
import { record } from "../api/endpoints";
import type { Query } from "../api/http";
import { stream } from "../api/stream";
import type { RecordEvent } from "../api/types";
import { useQuery } from "../api/useQuery";

const LIVE_MAX = 500;

export interface LiveRecord {
  rows: RecordEvent[];
  query: ReturnType<typeof useQuery<{ items: RecordEvent[]; next?: number | string | null }>>;
  older: (() => void) | null;
  loadingOlder: boolean;
}

/** `query` goes to the server; `matches` decides about rows that arrive live. `touches` covers the time the stream is down. */
export function useRecord(query: Query, matches: (event: RecordEvent) => boolean): LiveRecord {
  const key = `record:${JSON.stringify(query)}`;
  const first = useQuery(key, () => record.list({ order: "desc", limit: 100, ...query }));
  const [extra, setExtra] = useState<{ key: string; live: RecordEvent[]; old: RecordEvent[]; done: boolean }>({ key, live: [], old: [], done: false });
  const [loadingOlder, setLoading] = useState(false);
  const mine = extra.key === key ? extra : { key, live: [], old: [], done: false };

  useEffect(
    () =>
      stream.onEvent((event) => {
        if (!matches(event)) return;
        setExtra((was) => {
          const base = was.key === key ? was : { key, live: [], old: [], done: false };
          if (base.live.some(({ seq }) => seq === event.seq)) return base;
          return { ...base, live: [event, ...base.live].slice(0, LIVE_MAX) };
        });
      }),
    [key, matches],
  );
  const { reload } = first;
  useEffect(() => stream.onPoll(reload), [reload]);

  const rows = useMemo(() => {
    const seen = new Map<number, RecordEvent>();
    for (const event of [...mine.live, ...(first.data?.items ?? []), ...mine.old]) if (!seen.has(event.seq)) seen.set(event.seq, event);
    return [...seen.values()].sort((a, b) => b.seq - a.seq);
  }, [mine.live, mine.old, first.data]);

  const last = rows.at(-1)?.seq;
  const more = !mine.done && last !== undefined && last > 1 && (first.data?.items.length ?? 0) >= Number(query.limit ?? 100);
  const older = useCallback(() => {
    if (last === undefined) return;
    setLoading(true);
    void record
      .list({ order: "desc", limit: 100, ...query, before: last })
      .then(({ items }) =>
        setExtra((was) => {
          const base = was.key === key ? was : { key, live: [], old: [], done: false };
          return { ...base, old: [...base.old, ...items], done: items.length === 0 };
        }),
      )
      .catch(() => undefined)
      .finally(() => setLoading(false));
  }, [key, last]);

  return { rows, query: first, older: more ? older : null, loadingOlder };
}
