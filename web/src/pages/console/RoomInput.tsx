import { useId, useRef, useState, type FormEvent, type KeyboardEvent, type ReactElement } from "react";
import { flags, oncall, room, services } from "../../api/endpoints";
import { useQuery } from "../../api/useQuery";
import { useAction } from "../../lib/useAction";
import { completions } from "./grammar";

const HISTORY_MAX = 100;
const SHOWN_MAX = 8;
const history: string[] = [];

function useNames(): { services: string[]; flags: string[]; schedules: string[] } {
  const s = useQuery("services", services.list, { touches: ["service."] });
  const f = useQuery("flags:false", () => flags.summaries(false), { touches: ["flag."] });
  const c = useQuery("schedules", oncall.schedules, { touches: ["schedule."] });
  return {
    services: s.data?.items.map(({ name }) => name) ?? [],
    flags: f.data?.items.map(({ key }) => key) ?? [],
    schedules: c.data?.items.map(({ name }) => name) ?? [],
  };
}

/** One line to say. Tab completes, ↑ brings back what was said. */
export function RoomInput({ onSaid }: { onSaid: () => void }): ReactElement {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const [closed, setClosed] = useState(false);
  const back = useRef(0);
  const listId = useId();
  const names = useNames();
  const { busy, run } = useAction("chat.", "note.", "deploy.", "flag.", "incident.");
  const offers = closed ? [] : completions(text, names).slice(0, SHOWN_MAX);
  const open = offers.length > 0 && text !== "";

  const write = (next: string): void => {
    setText(next);
    setChosen(0);
    setClosed(false);
  };
  const send = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const line = text.trim();
    if (line === "" || busy) return;
    history.push(line);
    if (history.length > HISTORY_MAX) history.shift();
    back.current = 0;
    const said = await run(async () => { await room.say(line); return true; });
    if (!said) return;
    write("");
    onSaid();
  };
  const recall = (by: number): void => {
    const next = Math.min(history.length, Math.max(0, back.current + by));
    back.current = next;
    setText(next === 0 ? "" : (history[history.length - next] ?? ""));
    setClosed(true);
  };
  const key = (event: KeyboardEvent<HTMLInputElement>): void => {
    const moves = event.key === "ArrowUp" || event.key === "ArrowDown";
    if (open && event.key === "Tab" && !event.shiftKey) {
      event.preventDefault();
      write(offers[chosen]?.insert ?? text);
    } else if (open && event.key === "Escape") {
      setClosed(true);
    } else if (open && moves) {
      event.preventDefault();
      setChosen((chosen + (event.key === "ArrowUp" ? offers.length - 1 : 1)) % offers.length);
    } else if (moves) {
      event.preventDefault();
      recall(event.key === "ArrowUp" ? 1 : -1);
    }
  };

  return (
    <form className="room-input" onSubmit={(event) => void send(event)}>
      {open && (
        <ul className="completions" id={listId} role="listbox" aria-label="Completions">
          {offers.map((offer, index) => (
            <li key={offer.insert} id={`${listId}-${index}`} role="option" aria-selected={index === chosen} onMouseDown={(event) => { event.preventDefault(); write(offer.insert); }}>
              <code>{offer.label}</code> <span className="muted">{offer.does}</span>
            </li>
          ))}
        </ul>
      )}
      <input
        role="combobox"
        aria-label="Say or command"
        aria-expanded={open}
        aria-controls={open ? listId : undefined}
        aria-activedescendant={open ? `${listId}-${chosen}` : undefined}
        aria-autocomplete="list"
        autoComplete="off"
        spellCheck={false}
        maxLength={2000}
        placeholder="!deploy photos, or what you want to say"
        value={text}
        onChange={(event) => write(event.target.value)}
        onKeyDown={key}
      />
      <button type="submit" className="button primary" disabled={busy || text.trim() === ""}>Send</button>
    </form>
  );
}
