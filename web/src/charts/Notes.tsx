import type { ReactElement } from "react";
import type { Note } from "../api/promql";
import { Status } from "../ui/basics";

/** More than these say nothing new. */
const SHOWN_MAX = 5;

/** What PromQL has to say about an answer that it gives all the same. */
export function Notes({ notes }: { notes: Note[] }): ReactElement | null {
  if (notes.length === 0) return null;
  return (
    <ul className="notes small" aria-label="What PromQL says about it">
      {notes.slice(0, SHOWN_MAX).map(({ level, text }) => (
        <li key={text}><Status look={level === "warning" ? "warning" : "quiet"}><span className="wrap-any">{text}</span></Status></li>
      ))}
      {notes.length > SHOWN_MAX && <li className="muted">and {notes.length - SHOWN_MAX} more</li>}
    </ul>
  );
}
