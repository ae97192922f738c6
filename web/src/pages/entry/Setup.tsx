import { useEffect, useState, type FormEvent, type ReactElement } from "react";
import { session } from "../../api/endpoints";
import { ApiError } from "../../api/http";
import { refresh } from "../../api/useQuery";
import { navigate, useParams } from "../../router/router";
import { Field } from "../../ui/Field";

const PASSWORD_MIN = 12;

/** The first account, made once with the link the server printed. */
export function Setup(): ReactElement {
  const token = useParams().get("token");
  const [login, setLogin] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    document.title = "First account · tenfold";
  }, []);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await session.setup({ token, login, name, password });
      navigate("/", { replace: true });
      refresh("session");
    } catch (error) {
      setProblem(error instanceof ApiError ? `${error.message} ${error.advice}` : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="entry">
      <h1>Make the first account</h1>
      <p>It is an administrator's. The link works once.</p>
      {!token && <p className="form-error" role="alert">The link is cut short: its token is missing. Copy the whole line the server printed.</p>}
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field label="Login" hint="Lower-case, as you are called in chat."><input required pattern="[a-z][a-z0-9_.\-]*" autoComplete="username" autoCapitalize="none" value={login} onChange={(event) => setLogin(event.target.value)} /></Field>
        <Field label="Name"><input required autoComplete="name" value={name} onChange={(event) => setName(event.target.value)} /></Field>
        <Field label="Password" hint={`${PASSWORD_MIN} characters or more.`}><input required type="password" minLength={PASSWORD_MIN} autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} /></Field>
        {problem && <p className="form-error" role="alert">{problem}</p>}
        <div><button type="submit" className="button primary" disabled={busy || !token}>Make the account</button></div>
      </form>
    </main>
  );
}
