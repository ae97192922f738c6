import { memo, useEffect, useMemo, useRef, type ReactElement, type RefObject } from "react";
import type { LogLine } from "../../../api/types";
import { clockWithSeconds } from "../../../lib/time";
import { count, plural } from "../../../lib/units";
import { Link } from "../../../router/Link";
import { addressWith, useParams, type Params } from "../../../router/router";
import { Copy } from "../../../ui/basics";
import { Section } from "../../../ui/Section";
import { asText, filterLines, SERVER, speaker, speakers, STREAMS, type LogFilter } from "./lines";
import { useLog } from "./useLog";

const NEAR_END_PX = 40;

function Filters({ filter, hosts, params }: { filter: LogFilter; hosts: string[]; params: Params }): ReactElement {
  return (
    <div className="filters" role="group" aria-label="Filter the log">
      {hosts.length > 0 && (
        <select aria-label="Host of the log" value={filter.host} onChange={(event) => params.set({ log_host: event.target.value })}>
          <option value="">all hosts</option>
          <option value={SERVER}>the server</option>
          {hosts.map((name) => <option key={name}>{name}</option>)}
        </select>
      )}
      <select aria-label="Stream of the log" value={filter.stream} onChange={(event) => params.set({ log_stream: event.target.value })}>
        <option value="">all streams</option>
        {STREAMS.map(({ name, text }) => <option key={name} value={name}>{text}</option>)}
      </select>
      <input type="search" aria-label="Text in the log" placeholder="text in the log" value={filter.text} onChange={(event) => params.set({ log: event.target.value })} />
    </div>
  );
}

/** The time is a link to the line: it is shown marked, whoever opens the address. Thousands are not drawn again for each new one. */
const Line = memo(function Line({ line, marked, address }: { line: LogLine; marked: boolean; address: string }): ReactElement {
  return (
    <div className={`log-line ${line.stream}${marked ? " marked" : ""}`} id={`line-${line.seq}`}>
      <Link className="meta" to={`${address}line=${line.seq}`} aria-current={marked ? "true" : undefined} title="A link to this line">{clockWithSeconds(line.at)}<span className="sr-only">, line {line.seq}</span></Link>
      <span className="meta host-name" title={speaker(line)}>{speaker(line)}</span>
      <span className="text">{line.text}</span>
    </div>
  );
});

/** The log follows its end until the reader scrolls up, or came to look at one line. */
function useFollowing(box: RefObject<HTMLDivElement | null>, lines: LogLine[], wanted: string): () => void {
  const follow = useRef(wanted === "");
  const found = useRef("");
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const line = wanted && found.current !== wanted ? element.querySelector<HTMLElement>(`#line-${CSS.escape(wanted)}`) : null;
    if (line) {
      found.current = wanted;
      follow.current = false;
      const { top, height } = element.getBoundingClientRect();
      element.scrollTop += line.getBoundingClientRect().top - top - height / 2;
    } else if (follow.current) element.scrollTop = element.scrollHeight;
  }, [box, lines, wanted]);
  return () => {
    const element = box.current;
    if (element) follow.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
  };
}

export function RunLog({ number, running }: { number: number; running: boolean }): ReactElement {
  const { lines, cut, ended } = useLog(number);
  const params = useParams();
  const [host, stream, text, wanted] = [params.get("log_host"), params.get("log_stream"), params.get("log"), params.get("line")];
  const shown = useMemo(() => filterLines(lines, { host, stream, text }), [lines, host, stream, text]);
  const hosts = useMemo(() => speakers(lines), [lines]);
  const box = useRef<HTMLDivElement>(null);
  const scrolled = useFollowing(box, shown, wanted);
  const here = addressWith({ line: null });
  const address = here + (here.includes("?") ? "&" : "?");
  const state = running && !ended ? "streaming" : plural(lines.length + cut, "line");
  const filtered = shown.length < lines.length;
  const nothing = filtered ? "No line matches." : ended ? "No line was written." : "Waiting for the first line…";
  return (
    <Section title="Log" end={<span className="buttons"><span className="muted">{filtered ? `${count(shown.length)} of ${plural(lines.length, "line")}` : state}</span>{shown.length > 0 && <Copy text={asText(shown)} />}</span>}>
      <Filters filter={{ host, stream, text }} hosts={hosts} params={params} />
      {cut > 0 && <p className="muted">The {plural(cut, "line")} before these {cut === 1 ? "is" : "are"} in <a href={`/api/deploys/${number}/log`}>the whole log</a>.</p>}
      <div className="log" ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-label={`Log of deploy ${number}`} aria-live="off">
        {shown.length === 0 && <p className="log-line"><span className="meta" /><span /><span className="muted">{nothing}</span></p>}
        {shown.map((line) => <Line key={line.seq} line={line} marked={String(line.seq) === wanted} address={address} />)}
      </div>
    </Section>
  );
}
