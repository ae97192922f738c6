import type { CSSProperties, ReactElement } from "react";
import type { Marker } from "../api/types";
import { stamp } from "../lib/zone";

const TIP_PX = 260;
const MARKS_MAX = 4;

/** Beside the pointer, on the side where there is room. */
export function tipPlace(left: number, width: number): CSSProperties {
  return left > width / 2 ? { right: Math.max(0, width - left + 8) } : { left: Math.min(left + 8, Math.max(0, width - TIP_PX)) };
}

/** Who, when, what, beside the mark under the pointer. */
export function MarkerTip({ left, width, marks }: { left: number; width: number; marks: Marker[] }): ReactElement {
  return (
    <div className="chart-tip" style={tipPlace(left, width)}>
      {marks.slice(0, MARKS_MAX).map((mark) => (
        <p key={`${mark.seq}-${mark.kind}`}>
          <span className="muted">{stamp(mark.at, Date.now(), true)}{mark.end_at ? ` to ${stamp(mark.end_at, Date.now(), true)}` : ""} · {mark.actor_name}</span>
          <br />
          {mark.text}
        </p>
      ))}
      {marks.length > MARKS_MAX && <p className="muted">and {marks.length - MARKS_MAX} more</p>}
    </div>
  );
}
