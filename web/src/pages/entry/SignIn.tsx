import { useEffect, useState, type FormEvent, type ReactElement } from "react";
import { session } from "../../api/endpoints";
import { ApiError } from "../../api/http";
import { refresh } from "../../api/useQuery";
import { Field } from "../../ui/Field";
import { Command } from "../../ui/basics";

/** The door. With no account yet it tells where the one-time link is; `ended` where somebody was in a moment ago. */
export function SignIn({ setupNeeded, ended = false }: { setupNeeded: boolean; ended?: boolean }): ReactElement {
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    document.title = "Sign in · tenfold";
  }, []);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await session.signIn(login, password);
      refresh("session");
    } catch (error) {
      setProblem(error instanceof ApiError ? `${error.message} ${error.advice}` : String(error));
    } finally {
      setBusy(false);
    }
  };
  if (setupNeeded) {
    return (
      <main className="entry">
        <h1>tenfold</h1>
        <p>Nobody has an account yet. The server printed a one-time link when it started; open that to make the first one.</p>
        <p className="muted">Lost it? Start the server again, it prints a new one:</p>
        <div><Command text="tenfold serve" /></div>
      </main>
    );
  }
  return (
    <main className="entry">
      <h1>Sign in to tenfold</h1>
      {ended && <p role="status">Your session has ended. Sign in, and you are back on the page where you were.</p>}
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Login"><input required autoComplete="username" autoCapitalize="none" autoFocus value={login} onChange={(event) => setLogin(event.target.value)} /></Field>
        <Field label="Password"><input required type="password" autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} /></Field>
        {problem && <p className="form-error" role="alert">{problem}</p>}
        <div><button type="submit" className="button primary" disabled={busy}>Sign in</button></div>
      </form>
      <p className="muted">No account? An administrator makes one under Settings, People.</p>
    </main>
  );
}
