/** The room's lines: the newest from the server, asked again whenever the record says something was said or announced. */
import { useCallback, useState } from "react";
import { room } from "../../api/endpoints";
import type { ConsoleMessage } from "../../api/types";
import { useQuery } from "../../api/useQuery";

const LINES = 150;

export interface Room {
  lines: ConsoleMessage[];
  query: ReturnType<typeof useQuery<{ items: ConsoleMessage[] }>>;
  older: (() => void) | null;
}

export function useRoom(): Room {
  // Any event may be announced in the room.
  const query = useQuery("room", () => room.messages({ limit: LINES }), { touches: [""] });
  const [old, setOld] = useState<ConsoleMessage[]>([]);
  const [done, setDone] = useState(false);
  const seen = new Map<string, ConsoleMessage>();
  for (const line of [...old, ...(query.data?.items ?? [])]) seen.set(`${line.seq}-${line.kind}`, line);
  const lines = [...seen.values()].sort((a, b) => a.seq - b.seq || Date.parse(a.at) - Date.parse(b.at));
  const first = lines[0]?.seq;
  const older = useCallback(() => {
    if (first === undefined) return;
    void room.messages({ before: first, limit: LINES }).then(({ items }) => {
      setOld((was) => [...items, ...was]);
      if (items.length === 0) setDone(true);
    }).catch(() => undefined);
  }, [first]);
  return { lines, query, older: !done && (query.data?.items.length ?? 0) >= LINES ? older : null };
}
