import { useEffect, useRef, useState, type ReactElement } from "react";
import type { LogLine } from "../../api/types";
import { clockWithSeconds } from "../../lib/time";
import { plural } from "../../lib/units";
import { Copy } from "../../ui/basics";
import { Section } from "../../ui/Section";

/** Lines beyond this are cut from the top of the page; the whole log stays on the server. */
const LINES_MAX = 5_000;
const NEAR_END_PX = 40;

/** The log as it is written. The server sends what was said so far, then each new line, then `end`. */
function useLog(number: number): { lines: LogLine[]; ended: boolean } {
  const [lines, setLines] = useState<LogLine[]>([]);
  const [ended, setEnded] = useState(false);
  useEffect(() => {
    setLines([]);
    setEnded(false);
    let waiting: LogLine[] = [];
    let frame = 0;
    const seen = new Set<number>();
    const flush = (): void => {
      frame = 0;
      const batch = waiting;
      waiting = [];
      setLines((was) => [...was, ...batch].slice(-LINES_MAX));
    };
    const source = new EventSource(`/api/deploys/${number}/log?follow=true`);
    source.addEventListener("line", (message: MessageEvent<string>) => {
      const line = JSON.parse(message.data) as LogLine;
      if (seen.has(line.seq)) return;
      seen.add(line.seq);
      waiting.push(line);
      frame ||= requestAnimationFrame(flush);
    });
    source.addEventListener("end", () => {
      setEnded(true);
      source.close();
    });
    return () => {
      source.close();
      cancelAnimationFrame(frame);
    };
  }, [number]);
  return { lines, ended };
}

/** The log follows its end until the reader scrolls up. */
export function BuildLog({ number, running }: { number: number; running: boolean }): ReactElement {
  const { lines, ended } = useLog(number);
  const box = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  useEffect(() => {
    if (follow.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  const scrolled = (): void => {
    const element = box.current;
    if (element) follow.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
  };
  const state = running && !ended ? "streaming" : plural(lines.length, "line");
  return (
    <Section title="Log" end={<span className="buttons"><span className="muted">{state}</span>{lines.length > 0 && <Copy text={lines.map(({ text }) => text).join("\n")} />}</span>}>
      <div className="log" ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-label={`Log of deploy ${number}`} aria-live="off">
        {lines.length === 0 && <p className="log-line"><span className="meta" /><span /><span className="muted">{ended ? "No line was written." : "Waiting for the first line…"}</span></p>}
        {lines.map((line) => (
          <div key={line.seq} className={`log-line ${line.stream}`}>
            <span className="meta">{clockWithSeconds(line.at)}</span>
            <span className="meta host-name">{line.host ?? (line.stream === "tenfold" ? "tenfold" : "build")}</span>
            <span className="text">{line.text}</span>
          </div>
        ))}
      </div>
    </Section>
  );
}
