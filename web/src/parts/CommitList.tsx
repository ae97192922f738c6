import type { ReactElement } from "react";
import type { Commit } from "../api/types";
import { Time } from "../ui/basics";

/** Commits newest first; removed ones are struck through and say so. */
export function CommitList({ commits, removed = false }: { commits: Commit[]; removed?: boolean }): ReactElement {
  return (
    <ul className={removed ? "commits removed" : "commits"}>
      {commits.map((commit) => (
        <li key={commit.sha}>
          <code title={commit.sha}>{removed ? "− " : ""}{commit.short}</code>
          <span className="what wrap-any">{removed && <span className="sr-only">removed: </span>}{commit.message.split("\n")[0]}</span>
          <span className="by">{commit.author}<span className="hide-narrow">, <Time at={commit.at} /></span></span>
        </li>
      ))}
    </ul>
  );
}
