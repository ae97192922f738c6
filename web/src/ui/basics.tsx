/** The smallest parts: a status, an instant, a hash, a copy button. */
import { useState, type ReactElement, type ReactNode } from "react";
import { SHAPE, type Look } from "../lib/status";
import { absolute, duration, relative, stamp } from "../lib/time";
import { shortSha } from "../lib/units";
import { useNow } from "../lib/clock";

/** Shape, colour and word together. */
export function Status({ look, children }: { look: Look; children: ReactNode }): ReactElement {
  return (
    <span className={`status look-${look}`}>
      <span className="shape" aria-hidden="true">{SHAPE[look]}</span>
      <span>{children}</span>
    </span>
  );
}

/** `ago` says how long ago, `stamp` the clock, `both` the clock and the age. The title has the whole instant with its zone. */
export function Time({ at, show = "ago", seconds = false }: { at: string | null | undefined; show?: "ago" | "stamp" | "both"; seconds?: boolean }): ReactElement {
  const now = useNow(5_000);
  if (!at) return <span className="muted">—</span>;
  const text =
    show === "ago" ? relative(at, now) : show === "stamp" ? stamp(at, now, seconds) : `${stamp(at, now, seconds)} (${relative(at, now)})`;
  // Behind a name that is written from right to left its digits would stand before the name.
  return <time dir="ltr" dateTime={at} title={absolute(at)} className="nowrap">{text}</time>;
}

/** Time since `from`, counting while there is no end. */
export function Elapsed({ from, to }: { from: string; to?: string | null | undefined }): ReactElement {
  const now = useNow(to ? 3_600_000 : 1_000);
  const ms = Math.max(0, (to ? Date.parse(to) : now) - Date.parse(from));
  const text = to ? duration(ms) : ms < 1000 ? "0 s" : duration(Math.floor(ms / 1000) * 1000);
  return <span dir="ltr" className="nowrap" title={absolute(from)}>{text}</span>;
}

export function Sha({ sha }: { sha: string | null | undefined }): ReactElement {
  return <code title={sha ?? "nothing deployed"}>{shortSha(sha)}</code>;
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }): ReactElement {
  const [said, setSaid] = useState<string | null>(null);
  const say = (word: string): void => {
    setSaid(word);
    window.setTimeout(() => setSaid(null), 1500);
  };
  // A browser may refuse, and has no clipboard for a page that did not come by https.
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("The browser does not let it");
    }
  };
  return (
    <button type="button" className="button small" onClick={() => void copy()} aria-live="polite">
      {said ?? label}
    </button>
  );
}

/** Something is asked for and not there yet. */
export function Loading(): ReactElement {
  return <p className="muted" aria-busy="true">Loading…</p>;
}

/** One command to type, with a button that copies it. */
export function Command({ text }: { text: string }): ReactElement {
  return (
    <span className="command">
      <code>{text}</code>
      <Copy text={text} />
    </span>
  );
}

/** A page or a list with nothing in it teaches the one next command. */
export function Empty({ title, children, command }: { title: string; children?: ReactNode; command?: string }): ReactElement {
  return (
    <div className="empty">
      <p className="title">{title}</p>
      {children && <p>{children}</p>}
      {command && <Command text={command} />}
    </div>
  );
}

export function Problem({ message, advice, retry }: { message: string; advice?: string; retry?: () => void }): ReactElement {
  // A text and a mark below the place that is wrong in it.
  const [first = "", ...place] = message.split("\n");
  return (
    <div className="problem" role="alert">
      <Status look="critical">{first}</Status>
      {place.length > 0 && <pre className="place">{place.join("\n")}</pre>}
      {advice && <span>{advice}</span>}
      {retry && <button type="button" className="button small" onClick={retry}>Try again</button>}
    </div>
  );
}
