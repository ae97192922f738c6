import { useEffect, useRef, type ReactElement } from "react";
import type { ConsoleMessage } from "../../api/types";
import { severityLook, SHAPE } from "../../lib/status";
import { absolute, clock, day, sameDay } from "../../lib/time";
import { Empty } from "../../ui/basics";
import { Loaded, PageFrame } from "../../ui/Section";
import { RoomInput } from "./RoomInput";
import { useRoom } from "./useRoom";

const NEAR_END_PX = 60;

function Line({ line }: { line: ConsoleMessage }): ReactElement {
  const look = severityLook(line.severity);
  return (
    <div className={`room-line ${line.kind}`}>
      <time className="muted" dateTime={line.at} title={absolute(line.at)}>{clock(line.at)}</time>
      <span className="name" title={line.who}>{line.kind === "message" ? line.name || line.who : "tenfold"}</span>
      <span className="text">
        {look !== "quiet" && <span className={`look-${look}`}><span aria-hidden="true">{SHAPE[look]} </span><span className="sr-only">{line.severity}: </span></span>}
        {line.text}
        {line.room !== "web" && <> <span className="tag">{line.room}</span></>}
      </span>
    </div>
  );
}

/** The room where people and the server talk. The same words work in IRC and on the command line. */
export default function ConsolePage(): ReactElement {
  const { lines, query, older } = useRoom();
  const box = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  const newest = lines.at(-1)?.seq;
  useEffect(() => {
    if (follow.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [newest]);
  const scrolled = (): void => {
    const element = box.current;
    if (element) follow.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
  };
  return (
    <PageFrame title="Console" sub="Start with ! to give a command, or just talk.">
      <div className="room">
        <div className="room-lines" ref={box} onScroll={scrolled} role="log" aria-label="The room" tabIndex={0}>
          {older && <div className="room-day"><button type="button" className="button small" onClick={older}>Older lines</button></div>}
          <Loaded query={query}>
            {() =>
              lines.length === 0 ? (
                <Empty title="Nobody has said anything yet." command="!help">Deploys, alerts and flips are announced here by themselves.</Empty>
              ) : (
                lines.map((line, index) => {
                  const before = lines[index - 1];
                  return (
                    <div key={`${line.seq}-${line.kind}`}>
                      {(!before || !sameDay(before.at, line.at)) && <p className="room-day">{day(line.at)}</p>}
                      <Line line={line} />
                    </div>
                  );
                })
              )
            }
          </Loaded>
        </div>
        <RoomInput onSaid={() => { follow.current = true; query.reload(); }} />
      </div>
    </PageFrame>
  );
}
