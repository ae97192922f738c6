/** Who is there decides what is shown: the setup page, the sign-in page, or the pages in their frame. */
import { useEffect, useRef, type ReactElement } from "react";
import { session as api } from "../api/endpoints";
import { onSignedOut } from "../api/http";
import { stream } from "../api/stream";
import { forgetUnwatched, refresh, useQuery } from "../api/useQuery";
import { readAs } from "../lib/zone";
import { usePath } from "../router/router";
import { Toasts } from "../ui/Toasts";
import { Loading, Problem } from "../ui/basics";
import { ErrorBoundary } from "./ErrorBoundary";
import { Frame } from "./Frame";
import { Routed } from "./Routed";
import { SessionContext } from "./session";
import { Setup } from "../pages/entry/Setup";
import { SignIn } from "../pages/entry/SignIn";

export function App(): ReactElement {
  const path = usePath();
  const session = useQuery("session", api.get, { touches: ["person."] });
  const person = session.data?.person ?? null;

  useEffect(() => onSignedOut(() => refresh("session")), []);
  const login = person?.login;
  readAs(login);
  useEffect(() => {
    if (login === undefined) return undefined;
    stream.open();
    return () => {
      stream.close();
      forgetUnwatched();
    };
  }, [login]);
  const was = useRef(false);
  was.current ||= person !== null;

  return (
    <ErrorBoundary resetKey={path}>
      {!session.data ? (
        <main className="entry">
          {session.error ? (
            <Problem message={session.error.message} advice={session.error.advice} retry={session.reload} />
          ) : (
            <Loading />
          )}
        </main>
      ) : path === "/setup" && session.data.setup_needed ? (
        <Setup />
      ) : person ? (
        <SessionContext value={{ person, demo: session.data.demo, version: session.data.version }}>
          <Frame>
            <Routed />
          </Frame>
        </SessionContext>
      ) : (
        <SignIn setupNeeded={session.data.setup_needed} ended={was.current} />
      )}
      <Toasts />
    </ErrorBoundary>
  );
}
