import { useState, type FormEvent, type ReactElement } from "react";
import { zone as ofBrowser } from "../lib/time";
import { chooseUtc, IN_ADDRESS, useUtc, zone } from "../lib/zone";
import { useParams } from "../router/router";
import { Dialog } from "../ui/Dialog";
import { Field } from "../ui/Field";
import { movingOf, RANGES, readRange, shifted, widened, writeInstant, type Range } from "./range";

/** The usual ranges, which move with the clock, and any other by its ends. */
export function RangePicker({ range }: { range: Range }): ReactElement {
  const params = useParams();
  const utc = useUtc();
  const [open, setOpen] = useState(false);
  const other = !RANGES.some(({ name }) => name === range.name);
  const move = (name: string): void => params.set({ range: name, from: null, to: null }, false);
  const switchZone = (): void => {
    chooseUtc(!utc);
    params.set({ [IN_ADDRESS]: null });
  };
  const show = ({ fromMs, toMs }: { fromMs: number; toMs: number }): void => params.set({ from: String(Math.round(fromMs)), to: String(Math.round(toMs)), range: null }, false);
  return (
    <div className="chips" role="group" aria-label="Range of time">
      {RANGES.map(({ name, text }) => (
        <button
          key={name}
          type="button"
          className="chip"
          aria-pressed={range.name === name}
          onClick={() => move(name)}
        >
          {text}
        </button>
      ))}
      <button type="button" className="chip" aria-pressed={other} aria-haspopup="dialog" onClick={() => setOpen(true)}>
        {other ? range.text : "From … to"}
      </button>
      {range.name !== null && <button type="button" className="chip" aria-label="Hold it still" title="Hold it still: nothing moves until a range is chosen again" onClick={() => show(range)}>❚❚</button>}
      <button type="button" className="chip" aria-label="Half a range earlier" title="Half a range earlier" onClick={() => show(shifted(range, "earlier"))}>‹</button>
      <button type="button" className="chip" aria-label="Twice as long" title="Twice as long" onClick={() => show(widened(range, Date.now()))}>⟷</button>
      <button type="button" className="chip" aria-label="Half a range later" title="Half a range later" onClick={() => show(shifted(range, "later"))}>›</button>
      {ofBrowser !== "UTC" && <button type="button" className="chip" aria-pressed={utc} title={`Times in UTC instead of ${ofBrowser}, on graphs and in their tables and fields`} onClick={switchZone}>UTC</button>}
      {open && <Ends range={range} onClose={() => setOpen(false)} onChoose={show} onMove={move} />}
    </div>
  );
}

interface EndsProps {
  range: Range;
  onClose: () => void;
  onChoose: (ends: { fromMs: number; toMs: number }) => void;
  /** It moves with the clock. */
  onMove: (name: string) => void;
}

function Ends({ range, onClose, onChoose, onMove }: EndsProps): ReactElement {
  const [from, setFrom] = useState(writeInstant(range.fromMs));
  const [to, setTo] = useState(writeInstant(range.toMs));
  const moving = movingOf(from, to);
  // A range that moves is as long as it says, whenever it is read.
  const read = moving ?? readRange(from, to);
  const wrong = moving === null && typeof read === "string" ? read : null;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (moving !== null) onMove(moving);
    else if (typeof read !== "string") onChoose(read);
    else return;
    onClose();
  };
  const hint = `in ${zone()}, unless a zone stands behind it; or`;
  return (
    <Dialog open onClose={onClose} title="Range of time">
      <form className="stack" onSubmit={submit}>
        <Field label="From" hint={`${hint} like now-3h`}><input value={from} autoFocus onChange={(event) => setFrom(event.target.value)} /></Field>
        <Field label="To" hint={`${hint} now`}><input value={to} onChange={(event) => setTo(event.target.value)} /></Field>
        {wrong && <p className="form-error" role="alert">{wrong}</p>}
        <div className="form-row"><button type="submit" className="button primary" aria-disabled={wrong !== null || undefined}>Show</button></div>
      </form>
    </Dialog>
  );
}
