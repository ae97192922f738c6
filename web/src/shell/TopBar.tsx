import { useState, useSyncExternalStore, type FormEvent, type ReactElement } from "react";
import { stream } from "../api/stream";
import { Link } from "../router/Link";
import { navigate, usePath } from "../router/router";
import { SHAPE } from "../lib/status";
import { isCurrent, NAV } from "./routes";
import { NavMenu, PersonMenu } from "./menus";

function Live(): ReactElement {
  const state = useSyncExternalStore(stream.onState, stream.liveness);
  const [look, word, title] =
    state === "live"
      ? (["ok", "live", "The record streams to this page as it is written."] as const)
      : state === "polling"
        ? (["warning", "asking every 5 s", "The live stream is down; the page asks every 5 s and reconnects by itself."] as const)
        : (["unknown", "connecting", "Connecting to the live record."] as const);
  return (
    <span className="live" title={title} role="status">
      <span className={`look-${look}`} aria-hidden="true">{SHAPE[look]}</span>
      {word}
    </span>
  );
}

function Search(): ReactElement {
  const [text, setText] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    navigate(text.trim() ? `/timeline?q=${encodeURIComponent(text.trim())}` : "/timeline");
    setText("");
  };
  return (
    <form role="search" className="search" onSubmit={submit}>
      <input
        id="search"
        type="search"
        aria-label="Search the record"
        placeholder="Search the record  /"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </form>
  );
}

export function TopBar({ onKeys }: { onKeys: () => void }): ReactElement {
  const path = usePath();
  return (
    <header className="top">
      <Link className="brand" to="/">tenfold</Link>
      <nav className="nav" aria-label="Pages">
        {NAV.map((item) => (
          <Link key={item.to} to={item.to} aria-current={isCurrent(item, path) ? "page" : undefined}>{item.text}</Link>
        ))}
      </nav>
      <NavMenu />
      <div className="top-end">
        <Search />
        <Live />
        <PersonMenu onKeys={onKeys} />
      </div>
    </header>
  );
}
