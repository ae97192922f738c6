import type { ReactElement } from "react";
import { useParams } from "../router/router";
import { RANGES, type Range } from "./range";

export function RangePicker({ range }: { range: Range }): ReactElement {
  const params = useParams();
  return (
    <div className="chips" role="group" aria-label="Range of time">
      {RANGES.map(({ name, text }) => (
        <button
          key={name}
          type="button"
          className="chip"
          aria-pressed={range.name === name}
          onClick={() => params.set({ range: name, from: null, to: null }, false)}
        >
          {text}
        </button>
      ))}
      {range.name === null && <span className="chip" aria-current="true">{range.text}</span>}
    </div>
  );
}
