/**
 * The log of a deploy as it is written. The server sends what was said so far, then each new line, then `end`; in between the
 * deploy itself whenever it changed, also where that is no event of the record: a host that does not answer.
 */
import { useEffect, useState } from "react";
import type { Deploy, LogLine } from "../../../api/types";
import { amend } from "../../../api/useQuery";

/** Lines beyond this are cut from the top of the page; the whole log stays on the server. */
export const LINES_MAX = 5_000;

export interface Log {
  lines: LogLine[];
  /** Lines that are cut from the top. */
  cut: number;
  ended: boolean;
}

const EMPTY: Log = { lines: [], cut: 0, ended: false };

export function useLog(number: number): Log {
  const [log, setLog] = useState<Log>(EMPTY);
  useEffect(() => {
    setLog(EMPTY);
    let waiting: LogLine[] = [];
    let frame = 0;
    // Lines come in order; after a reconnection some may come again.
    let last = 0;
    const flush = (): void => {
      frame = 0;
      const batch = waiting;
      waiting = [];
      setLog((was) => {
        const all = [...was.lines, ...batch];
        const over = Math.max(0, all.length - LINES_MAX);
        return { ...was, lines: over > 0 ? all.slice(over) : all, cut: was.cut + over };
      });
    };
    const source = new EventSource(`/api/deploys/${number}/log?follow=true`);
    source.addEventListener("line", (message: MessageEvent<string>) => {
      const line = JSON.parse(message.data) as LogLine;
      if (line.seq <= last) return;
      last = line.seq;
      waiting.push(line);
      frame ||= requestAnimationFrame(flush);
    });
    source.addEventListener("deploy", (message: MessageEvent<string>) => {
      amend<Deploy>(`deploy:${number}`, () => JSON.parse(message.data) as Deploy);
    });
    source.addEventListener("end", () => {
      setLog((was) => ({ ...was, ended: true }));
      source.close();
    });
    return () => {
      source.close();
      cancelAnimationFrame(frame);
    };
  }, [number]);
  return log;
}
