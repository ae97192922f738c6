import type { ReactElement } from "react";
import { alerts } from "../../api/endpoints";
import type { Mute } from "../../api/types";
import { useQuery } from "../../api/useQuery";
import { useNow } from "../../lib/clock";
import { addDays, day, sameDay, toLocalInput } from "../../lib/time";
import { useParams } from "../../router/router";
import { Loaded, Section } from "../../ui/Section";
import { showMatchers } from "./matchers";
import { startOfWeek, turnsOf } from "./mutes";

const WEEKS = 4;
/** Turns of one day that are drawn; the rest is counted. */
const DAY_TURNS = 4;

/** Four weeks of mutes, a week a row. */
export function MuteCalendar({ mutes, onPick }: { mutes: Mute[]; onPick: (mute: Mute) => void }): ReactElement {
  const now = useNow(5_000);
  const params = useParams();
  const asked = Date.parse(`${params.get("from")}T00:00`);
  const first = startOfWeek(Number.isNaN(asked) ? now : asked);
  const end = addDays(first, WEEKS * 7);
  const query = useQuery(`mute-calendar:${first}`, () => alerts.muteCalendar(new Date(first).toISOString(), new Date(end).toISOString()), { touches: ["mute."], everyMs: 300_000 });
  const known = new Map(mutes.map((mute) => [mute.id, mute]));
  const go = (weeks: number): void => params.set({ from: toLocalInput(addDays(first, weeks * 7)).slice(0, 10) });
  const buttons = (
    <div className="buttons">
      <button type="button" className="button small" onClick={() => go(-WEEKS)}>Earlier</button>
      <button type="button" className="button small" onClick={() => params.set({ from: null })}>Today</button>
      <button type="button" className="button small" onClick={() => go(WEEKS)}>Later</button>
    </div>
  );
  return (
    <Section title="Calendar" end={buttons}>
      <Loaded query={query}>
        {({ items, left_out }) => (
          <>
            <div className="calendar weeks" role="list" aria-label={`Mutes from ${day(first)} on, ${WEEKS} weeks`} tabIndex={0}>
              {Array.from({ length: WEEKS * 7 }, (_, index) => {
                const start = addDays(first, index);
                const next = addDays(first, index + 1);
                const turns = turnsOf(items, start, next);
                const today = sameDay(start, now);
                const classes = ["calendar-day", today ? "today" : "", turns.length === 0 ? "unmuted" : ""];
                return (
                  <div key={start} role="listitem" className={classes.filter(Boolean).join(" ")}>
                    <p className="calendar-name">{today ? `Today, ${day(start)}` : day(start)}</p>
                    {turns.slice(0, DAY_TURNS).map((turn) => {
                      const mute = known.get(turn.mute);
                      const words = mute ? showMatchers(mute.matchers) : `mute ${turn.mute}`;
                      const look = turn.to <= now ? "other" : turn.from <= now ? "" : "planned";
                      return (
                        <button key={`${turn.mute}-${turn.from}`} type="button" className={`shift ${look}`} title={mute ? `${words}, ${turn.text}: ${mute.reason}` : words} disabled={!mute} onClick={() => mute && onPick(mute)}>
                          <span className="strong">{words}</span>
                          <br />
                          <span className="small muted">{turn.text}</span>
                        </button>
                      );
                    })}
                    {turns.length > DAY_TURNS && <p className="calendar-name">and {turns.length - DAY_TURNS} more</p>}
                  </div>
                );
              })}
            </div>
            {left_out > 0 && <p className="muted">{left_out} later turns are not drawn.</p>}
          </>
        )}
      </Loaded>
    </Section>
  );
}
