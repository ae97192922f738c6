import { useEffect, useId, type ReactElement, type ReactNode } from "react";
import { ApiError } from "../api/http";
import { Loading, Problem } from "./basics";

interface PageFrameProps {
  title: string;
  sub?: ReactNode;
  actions?: ReactNode;
  /** The title is for screen readers only: the page explains itself. */
  quiet?: boolean;
  children: ReactNode;
}

/** A page: its title in the window and as the one `h1`. */
export function PageFrame({ title, sub, actions, quiet, children }: PageFrameProps): ReactElement {
  useEffect(() => {
    document.title = `${title} · tenfold`;
  }, [title]);
  return (
    <div className="page">
      <div className={quiet ? "sr-only" : "page-head"}>
        <h1>{title}</h1>
        {sub && <div className="sub">{sub}</div>}
        {actions && <div className="right buttons">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

export function Section({ title, end, children }: { title: string; end?: ReactNode; children: ReactNode }): ReactElement {
  const id = useId();
  return (
    <section className="section" aria-labelledby={id}>
      <div className="section-head">
        <h2 id={id}>{title}</h2>
        {end && <div className="end">{end}</div>}
      </div>
      {children}
    </section>
  );
}

interface LoadedProps<T> {
  query: { data: T | undefined; error: ApiError | undefined; reload: () => void };
  children: (data: T) => ReactNode;
}

/** Draws an answer; before it is there, nothing that jumps; after a failed refresh, the last answer under the refusal. */
export function Loaded<T>({ query, children }: LoadedProps<T>): ReactElement {
  return (
    <>
      {query.error && <Problem message={query.error.message} advice={query.error.advice} retry={query.reload} />}
      {query.data === undefined ? !query.error && <Loading /> : children(query.data)}
    </>
  );
}
